// Ledger: its head, and its events word for word.

import { get, url } from "./api.js";
import { clock, code, count, h, json, put, words } from "./dom.js";
import { listen } from "./live.js";
import { card, empty, facts, head, input } from "./parts.js";

const PAGE = 50;

export async function show(house) {
  const query = house.query();
  const status = await get("/v1/status");
  const last = Math.max(0, status.head_index - PAGE);
  const from = query.has("from") ? Math.max(0, Math.floor(Number(query.get("from"))) || 0) : last;
  const path = url("/v1/events", { from, limit: PAGE });
  const page = await get(path);
  const headIndex = h("span", { id: "head-index" }, count(status.head_index));
  house.leave.push(listen(({ index }) => put(headIndex, count(index + 1))));
  const field = input({ name: "from", type: "search", aria: "From event", value: query.get("from") ?? "", placeholder: "From event…" });
  field.id = "search";
  const to = (index) => h("a", { class: "button", href: url("/ledger", { from: index }) });
  return [
    head("Ledger", path),
    facts([["Next event", headIndex], ["Rules in force", code(status.rules_digest)]]),
    h("form", { class: "filters", role: "search", onsubmit: (event) => {
      event.preventDefault();
      house.ask({ from: field.value.replace(/\D/g, "") });
    } }, field, h("button", { type: "submit" }, "Go")),
    card(page.items.length > 0 ? `Events ${count(page.items[0].index)} to ${count(page.items.at(-1).index)}` : "Events",
      page.items.length === 0
        ? empty("Nothing is there.", `The ledger ends before event ${count(from)}; `, h("a", { href: "/ledger" }, "see its end"), ".")
        : h("div", { class: "events" }, page.items.map(row))),
    h("nav", { class: "pager", "aria-label": "Earlier and later" },
      from > 0 && put(to(Math.max(0, from - PAGE)), "Earlier"), page.next !== null && put(to(page.next), "Later"),
      query.has("from") && put(h("a", { class: "button", href: "/ledger" }), "Newest")),
  ];
}

function row({ index, event }) {
  const inside = h("div");
  const it = event.body ?? {};
  const about = [it.scope, it.tool, it.agent, it.ruling, it.outcome, it.why].filter((one) => typeof one === "string");
  const details = h("details", { ontoggle: () => details.open && !inside.hasChildNodes() && put(inside, json(event)) },
    h("summary", null, h("span", { class: "index" }, count(index)), clock(event.at), code(event.kind),
      h("span", { class: "about" }, about.map((one) => [words(one), " "])), h("span", { class: "muted lane" }, `lane ${event.lane}, ${event.lane_seq}`)),
    inside);
  return details;
}

