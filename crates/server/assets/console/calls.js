// Calls: the list, and why one was decided as it was.

import { get, part, url } from "./api.js";
import { h, moment, plain, short, words, millis, usd } from "./dom.js";
import { follow } from "./live.js";
import { card, empty, folded, head, input, link, pill, table } from "./parts.js";
import { pager, why } from "./runs.js";

const PAGE = 50;

export async function show(house) {
  const query = house.query();
  const asked = Object.fromEntries(["run", "agent", "tool", "ruling", "outcome", "before"].map((name) => [name, query.get(name)]));
  const path = url("/v1/calls", { ...asked, limit: PAGE });
  const [page, agents, tools] = await Promise.all([get(path), get("/v1/agents"), get("/v1/tools")]);
  if (!asked.before) follow(house, (event) => ["call_decided", "call_finished"].includes(event.kind), 2000);
  return [
    head("Calls", path),
    filters(house, asked, agents.items, tools.items),
    asked.run && h("p", null, "Of the run ", link(`/runs/${asked.run}`, plain(asked.run)), "."),
    page.items.length === 0
      ? empty("No call is like that.", link("/calls", "See all calls"), ", or see what your ", link("/rules", "rules"), " would say to one.")
      : table("Calls, newest first", COLUMNS, page.items, (call) => `/calls/${call.call}`),
    pager(house, asked, page.next),
  ];
}

const COLUMNS = [
  ["Call", (call) => h("span", { class: "id", title: call.call }, short(call.call))],
  ["Decided", (call) => moment(call.at)],
  ["Verdict", (call) => pill(call.verdict.ruling)],
  ["Tool", (call) => words(call.tool)],
  ["Agent", (call) => words(call.agent)],
  ["Because", (call) => (call.verdict.reasons[0] ? words(call.verdict.reasons[0].says, { class: "cut" }) : words(call.verdict.rules[0]?.words ?? "–", { class: "cut" })), "wide"],
  ["Outcome", (call) => (call.outcome ? pill(call.outcome) : h("span", { class: "muted" }, call.run ? "–" : "question"))],
  ["Took", (call) => millis(call.duration_ms), "amount"],
  ["Cost", (call) => usd(call.cost_usd_nanos), "amount"],
];

function filters(house, asked, agents, tools) {
  const go = (event) => {
    event.preventDefault();
    house.ask(Object.fromEntries(new FormData(event.target.closest("form"))));
  };
  const select = (name, aria, options) => {
    const control = input({ name, aria, value: asked[name] ?? "", options });
    control.id = `filter-${name}`;
    control.addEventListener("change", go);
    return control;
  };
  const outcomes = ["succeeded", "failed", "unknown", "not_dispatched", "open"];
  return h("form", { class: "filters", role: "search", onsubmit: go },
    asked.run && h("input", { type: "hidden", name: "run", value: asked.run }),
    select("ruling", "Verdict", [["", "every verdict"], ["allow", "allowed"], ["deny", "refused"], ["ask", "asked of people"]]),
    select("outcome", "Outcome", [["", "every outcome"], ...outcomes.map((it) => [it, it.replaceAll("_", " ")])]),
    select("agent", "Agent", [["", "every agent"], ...agents.map((it) => [it.agent, it.agent])]),
    select("tool", "Tool", [["", "every tool"], ...tools.map((it) => [it.tool, it.tool])]));
}

/** Who asked, for whom, which rule, what it saw, what it cost, what happened. */
export async function showOne(house, id) {
  const path = `/v1/explain/${part(id)}`;
  const story = await get(path);
  const call = story.calls[0];
  const scope = `tool:${call.tool}`;
  follow(house, (event) => event.body?.call === id || ["halted", "resumed"].includes(event.kind));
  return [
    head([pill(call.verdict.ruling), " ", words(call.tool)], path,
      call.run && h("a", { class: "button", href: `/runs/${call.run}` }, "Its run"),
      house.session.may_operate && (house.halted(scope)
        ? h("button", { type: "button", id: "halt-tool", onclick: () => house.resume(scope) }, "Resume tool")
        : h("button", { type: "button", class: "danger", id: "halt-tool", onclick: () => house.stop(scope) }, "Halt tool"))),
    h("p", null, link(`/agents/${part(call.agent)}`, words(call.agent)), call.by ? [", as ", words(call.by), " asked"] : null,
      story.run?.person ? [", for ", words(story.run.person)] : null, ", ", moment(call.at)),
    card("Why", why(call)),
    card("The story", h("ol", { class: "story" }, story.steps.map((step) => h("li", null, h("span", { class: "muted" }, plain(step.what)), words(step.says)))),
      folded("As plain text, for a ticket", h("pre", { class: "json", tabindex: "0" }, plain(story.text)))),
  ];
}
