// Tools: contracts, what their servers say now, accepting it, and halting one.

import { get, part, post, url } from "./api.js";
import { code, count, digest, h, millis, moment, usd, words } from "./dom.js";
import { follow } from "./live.js";
import { card, diff, empty, facts, folded, head, pill, question, table } from "./parts.js";

/** What changes what is said of a tool. */
const NEWS = ["tool_seen", "tool_rested", "rules_activated", "halted", "resumed"];
const RECENT = 50;

export async function show(house) {
  const { items } = await get("/v1/tools");
  follow(house, (event) => NEWS.includes(event.kind));
  return [
    head("Tools", "/v1/tools"),
    items.length === 0
      ? empty("No tool has a contract, so nothing can be called.", "Write ", code("tools/SERVER.yaml"), " beside ", code("remit.yaml"), "; ", code("remit tool offers SERVER"), " prints its beginning.")
      : table("Tools", COLUMNS, items, (tool) => `/tools/${part(tool.tool)}`),
  ];
}

const COLUMNS = [
  ["Tool", (tool) => words(tool.tool)],
  ["Effect", (tool) => effect(tool.effect)],
  ["Env", (tool) => words(tool.env)],
  ["State", state],
  ["About", (tool) => words(tool.about || "–", { class: "cut" }), "wide"],
];

function effect(name) {
  return pill(name, { read: "allow", reversible: "unknown", irreversible: "deny" }[name]);
}

function state(tool) {
  if (tool.quarantined) return pill("quarantined", "deny");
  if (tool.resting_until) return pill("resting", "unknown");
  return pill(tool.accepted ? "accepted" : "declared", "plain");
}

export async function showOne(house, name) {
  const path = `/v1/tools/${part(name)}`;
  const [tool, recent] = await Promise.all([get(path), get(url("/v1/calls", { tool: name, limit: RECENT }))]);
  follow(house, (event) => NEWS.includes(event.kind) || event.body?.tool === name, 2000);
  const it = tool.contract ?? {};
  const may = house.session.may_operate;
  const halt = (scope, what) => may && (house.halted(scope)
    ? h("button", { type: "button", onclick: () => house.resume(scope) }, `Resume ${what}`)
    : h("button", { type: "button", class: "danger", id: `halt-${what}`, onclick: () => house.stop(scope) }, `Halt ${what}`));
  return [
    head(words(tool.tool), path, h("a", { class: "button", href: url("/calls", { tool: name }) }, "Its calls"), halt(`tool:${tool.tool}`, "tool"), halt(`server:${tool.server}`, "server")),
    h("p", { class: "intent" }, words(tool.about || "Nothing is said about it.")),
    tool.quarantined && quarantine(house, tool, path, may),
    tool.resting_until && h("div", { class: "trouble" }, h("p", null, "It failed too often in a row. It is left alone, and one call tries again ", moment(tool.resting_until), ".")),
    facts([
      ["Effect", effect(tool.effect)], ["Operation", it.operation], ["State", state(tool)], ["Environment", words(tool.env)],
      ["Server", words(tool.server)], ["Reached by", it.via && words(Object.keys(it.via).join(", "))],
      ["Costs", usd(it.cost_usd_nanos)], ["Waits at most", it.timeout_ms && millis(it.timeout_ms)],
      ["Credential", it.credential && code(it.credential)],
      ["Goes only to", it.to?.length > 0 && words(it.to.join(", "))],
      ["At once", it.care && count(it.care.concurrent)], ["Rests after", it.care && `${count(it.care.failures_max)} failures in a row`],
      ["Accepted", tool.accepted && digest(tool.accepted)], ["Its server says", tool.seen && digest(tool.seen)],
    ]),
    card("How it does", health(recent.items, name)),
    tool.definition && folded("What agents are shown", tool.definition),
    it.input && folded("Arguments", it.input),
    folded("The whole contract", it),
  ];
}

/** Of its last calls: how they ended, and how long they took. */
function health(calls, name) {
  const ended = calls.filter((call) => call.outcome);
  if (ended.length === 0) return h("p", { class: "muted" }, calls.length > 0 ? "None of its last calls was carried out." : "Nobody has called it yet.");
  const took = ended.map((call) => call.duration_ms ?? 0).sort((a, b) => a - b);
  const at = (share) => millis(took[Math.min(took.length - 1, Math.floor(share * took.length))]);
  const kinds = ["succeeded", "failed", "unknown", "not_dispatched"].map((kind) => [kind, ended.filter((call) => call.outcome === kind)]).filter(([, list]) => list.length > 0);
  const refused = calls.filter((call) => call.verdict.ruling === "deny").length;
  return [
    h("p", null, "Of its last ", count(calls.length), " calls: ", kinds.map(([kind, list]) => [
      h("a", { class: "counted", href: url("/calls", { tool: name, outcome: kind }) }, pill(kind), ` ${count(list.length)}`), " "]),
      refused > 0 && h("a", { href: url("/calls", { tool: name, ruling: "deny" }) }, pill("refused", "deny"), ` ${count(refused)}`)),
    h("p", { class: "muted" }, `Half took less than ${at(0.5)}, nine of ten less than ${at(0.9)}.`,
      kinds.some(([kind]) => kind === "failed") && [" The last trouble: ", words(ended.find((call) => call.trouble)?.trouble ?? "it failed"), "."]),
  ];
}

function quarantine(house, tool, path, may) {
  const accept = () => question({
    title: "Accept what its server says", deed: "Accept",
    says: [h("p", null, "Agents are shown these words and act on them. From the answer on, ", words(tool.tool), " may be called again, as the rules say."), diff(tool.diff)],
    act: () => post(`${path}/accept`, { seen: tool.seen }),
  }).then((done) => done && house.reload());
  return h("section", { class: "card quarantine" },
    h("h2", null, "Quarantined"),
    h("p", null, "Its server describes it otherwise than a person has accepted", tool.seen_index ? [" (event ", count(tool.seen_index), ")"] : null, ". No call of it is permitted."),
    diff(tool.diff),
    may && h("button", { type: "button", class: "primary", id: "accept", onclick: accept }, "Accept"));
}
