// Runs: found, read as a waterfall of their calls, closed, halted, taken away as one file.

import { fresh, get, part, post, url } from "./api.js";
import { family } from "./family.js";
import { report } from "./incident.js";
import { follow } from "./live.js";
import { code, count, digest, exact, h, millis, moment, plain, put, several, short, usd, words } from "./dom.js";
import { balances } from "./spend.js";
import { plan } from "./plans.js";
import { card, empty, facts, folded, head, input, link, pill, question, table, verdict } from "./parts.js";

const PAGE = 50;
const FILTERS = ["q", "inside", "agent", "tool", "open", "outcome", "only", "stuck", "from", "until"];
/** What changes a list of runs. */
const NEWS = ["run_opened", "run_closed", "call_decided", "call_finished", "run_paused", "refusals_counted"];

export async function show(house) {
  const query = house.query();
  const asked = Object.fromEntries([...FILTERS, "before"].map((name) => [name, query.get(name)]));
  const { q, inside, ...rest } = asked;
  const sent = { ...rest, [inside ? "words" : "q"]: q, limit: PAGE };
  const [page, agents, tools] = await Promise.all([fresh("/v1/runs", sent), get("/v1/agents"), get("/v1/tools")]);
  if (!asked.before && !inside) follow(house, (event) => NEWS.includes(event.kind), 2000);
  return [
    head("Runs", url("/v1/runs", sent)),
    filters(house, asked, agents.items, tools.items),
    inside && page.next && page.items.length < PAGE && h("p", { class: "muted" }, "Only the newest runs were searched so far: “Older” goes on from there."),
    page.items.length === 0 ? nothing(asked, page.next) : table("Runs, newest first", COLUMNS, page.items, (run) => `/runs/${run.run}`),
    pager(house, asked, page.next),
  ];
}

const COLUMNS = [
  ["Run", (run) => h("span", { class: "id", title: run.run }, short(run.run))],
  ["Opened", (run) => moment(run.opened)],
  ["Agent", (run) => words(run.agent)],
  ["For", (run) => (run.person ? words(run.person) : h("span", { class: "muted" }, "–"))],
  ["Intent", (run) => (run.intent ? words(run.intent, { class: "cut" }) : "–"), "wide"],
  ["State", state],
  ["Allowed", (run) => count(run.allowed), "amount"],
  ["Refused", (run) => h("span", { class: run.denied > 0 ? "bad" : "muted" }, count(run.denied + run.uncounted)), "amount"],
  ["Unknown", (run) => h("span", { class: run.unknown > 0 ? "bad" : "muted" }, count(run.unknown)), "amount"],
  ["Cost", (run) => usd(run.cost_usd_nanos), "amount"],
];

function state(run) {
  if (!run.closed) return pill("open", "open");
  return pill(run.outcome ?? "closed", { success: "succeeded", failure: "failed" }[run.outcome] ?? "plain");
}

function filters(house, asked, agents, tools) {
  const go = (event) => {
    event.preventDefault();
    const told = Object.fromEntries(new FormData(event.target.closest("form")));
    // An id says all that there is to say.
    if (/^run_[0-9a-z]{26}$/.test(told.q.trim())) return house.go(`/runs/${told.q.trim()}`);
    if (/^call_[0-9a-z]{26}$/.test(told.q.trim())) return house.go(`/calls/${told.q.trim()}`);
    return house.ask({ ...told, q: told.q.trim() });
  };
  const select = (name, aria, options) => {
    const control = input({ name, aria, value: asked[name] ?? "", options });
    control.id = `filter-${name}`;
    control.addEventListener("change", go);
    return control;
  };
  const day = (name, aria) => {
    const control = input({ name, aria, type: "date", value: asked[name] ?? "" });
    control.id = `filter-${name}`;
    control.addEventListener("change", go);
    return h("label", { class: "day" }, h("span", { class: "muted" }, aria), control);
  };
  const search = input({ name: "q", type: "search", aria: "Search runs", value: asked.q ?? "", placeholder: asked.inside ? "Words of an intent, a charge, a ticket…" : "Person, agent, run or call id" });
  search.id = "search";
  const more = h("details", { class: "more", "data-key": "more" }, h("summary", null, "More filters"), h("div", { class: "filters" },
    select("tool", "Tool", [["", "every tool"], ...tools.map((it) => [it.tool, it.tool])]),
    select("outcome", "Ended as", [["", "however it ended"], ...["success", "failure", "abandoned", "expired"].map((it) => [it, `ended as ${it}`])]),
    select("stuck", "Waiting", [["", "waiting or not"], ["true", "waiting for a person"]]),
    day("from", "Opened from"), day("until", "until")));
  more.open = ["tool", "outcome", "stuck", "from", "until"].some((name) => asked[name]);
  return h("form", { class: "filters", role: "search", onsubmit: go }, search,
    select("inside", "Search in", [["", "in names and ids"], ["true", "in intents and arguments"]]),
    select("agent", "Agent", [["", "every agent"], ...agents.map((it) => [it.agent, it.agent])]),
    select("open", "State", [["", "open and closed"], ["true", "open"], ["false", "closed"]]),
    select("only", "With", [["", "all outcomes"], ["denied", "with refusals"], ["unknown", "with unknown ends"]]),
    h("button", { type: "submit" }, "Search"), more);
}

function nothing(asked, next) {
  if (next) return empty("None of the newest runs holds that.", "“Older” goes on from there.");
  if (Object.values(asked).some(Boolean)) return empty("No run is like that.", link("/runs", "See all runs"), ".");
  return empty("No run yet.", "An agent opens one with its key: ", code("POST /v1/runs"), " on the agents' port. Mint a key on the page of one of your ", link("/agents", "agents"), ".");
}

export function pager(house, asked, next) {
  if (!asked.before && !next) return null;
  return h("nav", { class: "pager", "aria-label": "Older and newer" },
    asked.before && h("a", { class: "button", href: url(location.pathname, { ...asked, before: undefined }) }, "Newest"),
    next && h("a", { class: "button", href: url(location.pathname, { ...asked, before: next }) }, "Older"));
}

// ---- One run ----------------------------------------------------------------------------------------------

export async function showOne(house, id) {
  const path = `/v1/runs/${part(id)}`;
  const { run, calls, older, family: runs = [] } = await fresh(path);
  const ids = new Set([run.run, ...runs.map((one) => one.run)]);
  follow(house, (event) => ids.has(event.body?.run) || ids.has(event.body?.parent));
  // A run that is closed has no account any more.
  const budget = run.closed ? { items: [] } : await get(url("/v1/budget", { run: id })).catch(none);
  const paused = budget.items.find((account) => account.paused);
  const scope = `run:${run.run}`;
  const may = house.session.may_operate;
  const closing = () => question({
    title: "Close the run", deed: "Close",
    says: h("p", null, "Nothing more is permitted in it. Calls that are under way are finished and recorded."),
    fields: [{ name: "outcome", label: "As", value: "abandoned", options: [["abandoned", "abandoned"], ["failure", "failure"], ["success", "success"]] }],
    act: (told) => post(`${path}/close`, { outcome: told.outcome }),
  }).then((done) => done && house.reload());
  return [
    head(["Run ", h("span", { class: "id" }, short(run.run))], path,
      h("button", { type: "button", id: "incident", onclick: () => report(house, run) }, "Report an incident"),
      may && !run.closed && h("button", { type: "button", id: "close-run", onclick: closing }, "Close run"),
      may && !run.closed && h("button", { type: "button", id: "pause-run", onclick: () => steer(house, path, paused) }, paused ? "Let it go on" : "Pause run"),
      may && !run.closed && h("button", { type: "button", id: "extend-run", onclick: () => extend(house, path) }, "Extend budget"),
      may && (house.halted(scope)
        ? h("button", { type: "button", id: "halt-run", onclick: () => house.resume(scope) }, "Resume run")
        : !run.closed && h("button", { type: "button", class: "danger", id: "halt-run", onclick: () => house.stop(scope) }, "Halt run"))),
    h("p", { class: "intent" }, run.intent ? ["“", words(run.intent), "”"] : h("span", { class: "muted" }, "No intent was stated.")),
    facts([
      ["Run", code(run.run)], ["Agent", link(`/agents/${part(run.agent)}`, words(run.agent))],
      ["For", run.person && words(run.person)], ["State", state(run)], ["Opened", exact(run.opened)],
      [run.closed ? "Closed" : "Ends by itself", run.closed ? [exact(run.closed), " by ", words(run.closed_by ?? "Remit"), run.corrected_by && [", corrected by ", words(run.corrected_by)]] : moment(run.expires)],
      ["Calls", `${count(run.allowed)} allowed, ${count(run.denied)} refused${run.uncounted ? `, ${count(run.uncounted)} more only counted` : ""}`],
      ["Unknown", run.unknown > 0 && h("span", { class: "bad" }, `${several(run.unknown, "call")} may or may not have happened`)],
      ["Cost", usd(run.cost_usd_nanos)], ["Opened by", ["event ", count(run.index)]], ["Trace", run.trace_id && trace(run)],
    ]),
    budget.items.length > 0 && card("Budget", balances(budget.items, run.run)),
    runs.length > 1 && family(run, runs),
    run.plan && plan(house, run, run.plan),
    card("Calls", calls.length === 0
      ? empty("No call yet.", "The agent has opened the run and asked for nothing.")
      : [older && h("p", { class: "muted" }, "These are the newest. ", link(url("/calls", { run: run.run, before: older }), "Older calls"), "."), waterfall(run, calls)]),
  ];
}

/** It was closed in this very moment. */
function none(error) {
  if (error.status === 404 || error.status === 409) return { items: [] };
  throw error;
}

/** Pauses a run, or lets a paused one go on. */
function steer(house, path, paused) {
  return question({
    title: paused ? "Let the run go on" : "Pause the run", deed: paused ? "Go on" : "Pause",
    says: paused ? h("p", null, "It waits: ", words(paused.paused)) : h("p", null, "Its calls are refused until somebody lets it go on."),
    fields: [{ name: "why", label: "Why", required: true, hint: "Stands in the ledger." }],
    act: (told) => post(`${path}/${paused ? "resume" : "pause"}`, { why: told.why }),
  }).then((done) => done && house.reload());
}

/** More to spend, for a while, and never more than it began with. */
function extend(house, path) {
  return question({
    title: "Let the run spend more", deed: "Extend",
    says: h("p", null, "All extensions together are at most as much as the run began with. What is not used by then is gone; if the run was paused, it goes on."),
    fields: [
      { name: "usd", label: "US dollars more", value: "", placeholder: "0.50" },
      { name: "calls", label: "Calls more", type: "number", value: "" },
      { name: "within", label: "For how long", value: "30m", required: true, hint: "Such as 30m or 4h; at most a day." },
      { name: "why", label: "Why", required: true, hint: "Stands in the ledger." },
    ],
    act: (told) => {
      const by = {};
      if (told.usd) by.usd_nanos = nanos(told.usd);
      if (told.calls) by.calls = Number(told.calls);
      return post(`${path}/extend`, { by, within: told.within, why: told.why });
    },
  }).then((done) => done && house.reload());
}

/** Dollars as they are written, without a float in between. */
function nanos(text) {
  const parts = /^\$?(\d{1,6})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (!parts) throw Object.assign(new Error("write dollars as 1.50"), { problem: { title: "Not a sum", detail: `“${text}” is no sum: write dollars as 1.50` } });
  return Number(BigInt(parts[1]) * 1_000_000_000n + BigInt((parts[2] ?? "").padEnd(9, "0")));
}

/** Calls in order of time, each with its span; opened, each says why. */
function waterfall(run, calls) {
  const begin = Date.parse(run.opened);
  const end = Math.max(...calls.map((call) => Date.parse(call.finished ?? call.at)), begin + 1);
  const share = (at) => (100 * (Date.parse(at) - begin)) / (end - begin);
  return h("div", { class: "waterfall" }, calls.map((call) => {
    const bar = h("span", { class: `bar ${call.outcome ?? call.verdict.ruling}` });
    const from = Math.min(share(call.at), 99.4);
    bar.style.setProperty("left", `${from}%`);
    bar.style.setProperty("width", `${Math.max(0.6, share(call.finished ?? call.at) - from)}%`);
    const inside = h("div", { class: "why" });
    const row = h("details", { "data-key": call.call, ontoggle: () => row.open && !inside.hasChildNodes() && put(inside, why(call)) },
      h("summary", null,
        h("span", { class: "muted offset" }, `+${millis(Date.parse(call.at) - begin)}`),
        pill(call.verdict.ruling), h("bdi", { class: "tool" }, plain(call.tool)),
        h("span", { class: "track", "aria-hidden": "true" }, bar),
        h("span", { class: "end" }, call.outcome ? pill(call.outcome) : call.verdict.reasons.slice(0, 1).map((one) => code(one.code)),
          " ", h("span", { class: "muted" }, millis(call.duration_ms))),
        h("span", { class: "cost muted" }, call.outcome ? usd(call.cost_usd_nanos) : "")),
      inside);
    return row;
  }));
}

/** Why a call was decided as it was, and what came of it. */
export function why(call) {
  return [
    call.reason && h("p", null, h("span", { class: "muted" }, "In the agent's words: "), "“", words(call.reason), "”"),
    verdict(call.verdict),
    call.verdict.ruling === "ask" && h("p", null, link(`/inbox/${call.call}`, "It waits for a person"), "."),
    facts([
      ["Approved by", call.approved?.length > 0 && words(call.approved.join(", "))],
      ["Call", link(`/calls/${call.call}`, code(call.call))], ["Effect", call.effect], ["Model", call.model && words(call.model)],
      ["Context", call.context_tokens && `${count(call.context_tokens)} tokens`],
      ["Outcome", call.outcome && [pill(call.outcome), call.trouble ? [" ", code(call.trouble)] : null]],
      ["Known from", call.settled_by && words(call.settled_by)],
      ["Set aside", call.reserved_usd_nanos > 0 && usd(call.reserved_usd_nanos)], ["Cost", call.outcome && usd(call.cost_usd_nanos)],
      ["Rules", digest(call.rules_digest)],
      ["Receipt", [`event ${count(call.index)}`, call.finished_index ? `, its end ${count(call.finished_index)}` : null]],
    ]),
    call.args ? folded("Arguments", call.args) : h("p", { class: "muted" }, "The arguments were erased."),
    call.result !== null && call.result !== undefined && folded("Result", call.result),
  ];
}

/** Tool servers are told it in `traceparent`; where it is looked up, if the configuration says. */
function trace(run) {
  const id = code(run.trace_id, { title: "Tool servers are told it in traceparent" });
  return run.trace ? h("a", { href: run.trace, target: "_blank", rel: "noopener noreferrer" }, id) : id;
}
