// What a change of the rules would do, before anybody makes it.

import { post } from "./api.js";
import { count, h, moment, plain, put, say, several, short, words } from "./dom.js";
import { card, input, pill, rule, table, trouble } from "./parts.js";

/** Text of one file is changed here, and asked about; nothing is written anywhere. */
export function change(files) {
  const text = input({ name: "text", rows: 14, required: true, aria: "Its text, as it would be" });
  const picked = input({ name: "file", aria: "File", options: files.map((it) => [it.file, it.file]) });
  const hidden = h("p", { class: "bad", role: "status" });
  const look = () => put(hidden, plain(text.value) !== text.value && "This text holds letters that are not seen, or that turn others around.");
  const fill = () => { text.value = files.find((it) => it.file === picked.value)?.text ?? ""; look(); };
  const upload = h("input", { type: "file", "aria-label": "Or a file of this machine", accept: ".yaml,.yml,.cedar" });
  upload.addEventListener("change", async () => { if (upload.files[0]) text.value = await upload.files[0].text(); look(); });
  text.addEventListener("input", look);
  picked.addEventListener("change", fill);
  fill();
  const answer = h("div", { id: "changed", "aria-live": "polite" });
  const go = h("button", { type: "submit", class: "primary", id: "ask-change" }, "What would it do?");
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    go.disabled = true;
    put(answer, h("p", { class: "muted" }, "Past calls are asked again…"));
    try {
      const found = await post("/v1/policy/change", { file: picked.value, text: text.value });
      put(answer, told(found));
      say(`${several(found.differ, "past call")} would be decided otherwise`);
    } catch (error) {
      put(answer, trouble(error));
    }
    go.disabled = false;
  } },
  h("div", { class: "filters" }, picked, upload), text, hidden, h("p", { class: "actions" }, go));
  return card("What a change would do", h("p", { class: "muted" },
    "Write the file as it would be. Past calls are asked again, by the rules alone, and who can do what is compared. Nothing is changed."), form, answer);
}

function told(found) {
  const same = found.rules_digest === found.would_digest;
  return h("div", { class: "answer" },
    h("p", null, h("strong", null, found.differ === 0 ? "No past call" : several(found.differ, "past call")), ` of ${count(found.compared)} would be decided otherwise`,
      found.skipped > 0 && `; the arguments of ${count(found.skipped)} were erased`, same ? ". The rules would be the same." : "."),
    found.warnings.length > 0 && h("ul", null, found.warnings.map((one) => h("li", { class: "bad" }, words(one)))),
    found.calls.length > 0 && table("Calls that would be decided otherwise", CALLS, found.calls, (call) => `/calls/${call.call}`),
    found.differ > found.calls.length && h("p", { class: "muted" }, `The newest ${count(found.calls.length)} are shown.`),
    ways("Could not be done any more", "went", found.lost), ways("Could be done that cannot be now", "came", found.won),
    found.lost.length + found.won.length === 0 && h("p", { class: "muted" }, "Nobody could do anything else than now."));
}

const CALLS = [
  ["Call", (call) => h("span", { class: "id", title: call.call }, short(call.call))],
  ["Decided", (call) => moment(call.at)],
  ["Agent", (call) => words(call.agent)],
  ["Tool", (call) => words(call.tool)],
  ["Now", (call) => pill(call.before)],
  ["Then", (call) => pill(call.after)],
  ["By", (call) => (call.rules.length > 0 ? call.rules.map((one) => rule(one)) : "–"), "wide"],
];

function ways(title, kind, list) {
  return list.length > 0 && [h("h3", { class: kind }, `${title}: ${several(list.length, "way")}`), table(title, [
    ["Agent", (it) => words(it.agent)],
    ["Tool", (it) => words(it.tool)],
    ["Only if", (it) => (it.only_if.length > 0 ? it.only_if.map((one) => h("code", null, words(one))) : h("span", { class: "muted" }, "always"))],
    ["Approval", (it) => (it.needs_approval ? words(it.needs_approval) : "–")],
  ], list)];
}
