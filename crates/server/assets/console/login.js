// Signing in: the code stands behind the `#` of the link, where no log and no referrer sees it.

import { signIn } from "./api.js";
import { h, put } from "./dom.js";
import { trouble } from "./parts.js";

export async function show(house, enter) {
  const told = h("div");
  const login = location.hash.slice(1);
  const ask = async () => {
    // Out of the address bar and out of the history at once: it is used whatever comes of it.
    history.replaceState(null, "", "/login");
    try {
      await signIn(login);
      await enter();
      history.replaceState(null, "", "/");
      await house.reload();
    } catch (error) {
      put(told, trouble(error));
    }
  };
  const go = h("button", { type: "button", class: "primary", onclick: () => { go.disabled = true; ask(); } }, "Sign in");
  const page = h("div", { class: "login" }, h("h1", { tabindex: "-1" }, login ? "Sign in to Remit" : "You are not signed in"),
    login
      ? [h("p", null, "This link signs this browser in once. The session ends after twelve hours."), go]
      : [h("p", null, "On the machine where Remit runs:"), h("pre", null, "remit login --data <data folder>"),
        h("p", null, "It prints a link that signs you in, once, for five minutes. ", h("code", null, "--as NAME"),
          " signs in a person of remit.yaml.")],
    told);
  if (login) setTimeout(() => go.focus());
  return page;
}
