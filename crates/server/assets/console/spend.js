// Spend: what agents and workflows cost, which runs spend the most, and how full the accounts are.

import { get, part, url } from "./api.js";
import { count, h, moment, plain, short, svg, usd, words } from "./dom.js";
import { follow } from "./live.js";
import { card, empty, head, input, link, pill, table } from "./parts.js";

const SPANS = [["1d", "one day"], ["7d", "seven days"], ["30d", "thirty days"]];

export async function show(house) {
  const query = house.query();
  const asked = { by: query.get("by") ?? "agent", within: query.get("within") ?? "30d", days: query.get("days") ?? "agent" };
  const path = url("/v1/spend", { by: asked.by, within: asked.within });
  const daily = url("/v1/spend/days", { by: asked.days, within: asked.within });
  const [report, days, top, budget] = await Promise.all([get(path), get(daily), get("/v1/top?limit=10"), get("/v1/budget")]);
  follow(house, (event) => ["call_finished", "run_closed", "run_opened"].includes(event.kind), 5000);
  const choose = (name, aria, options) => {
    const control = input({ name, aria, value: asked[name], options });
    control.id = `filter-${name}`;
    control.addEventListener("change", () => house.ask({ ...asked, [name]: control.value }));
    return control;
  };
  return [
    head("Spend", path),
    h("div", { class: "filters" }, choose("by", "By", [["agent", "by agent"], ["workflow", "by workflow"], ["run", "run by run"]]), choose("within", "Of the last", SPANS)),
    report.items.length === 0
      ? empty("No run has ended in this time.", "A run counts when it is closed; see those that are ", link("/runs?open=true", "open"), ".")
      : table("What was spent", COLUMNS(asked.by), report.items, (line) => (asked.by !== "workflow" && line.of ? `/${asked.by}s/${part(line.of)}` : undefined)),
    card("Day by day",
      h("div", { class: "filters" }, choose("days", "Each day of", [["agent", "agents"], ["tool", "tools"]])),
      days.items.length === 0
        ? h("p", { class: "muted" }, "Nothing was asked in this time.")
        : table("Day by day", DAYS(asked.days), lines(days), (line) => (line.of ? `/${asked.days}s/${part(line.of)}` : undefined)),
      h("p", { class: "muted" }, `Cost of each day (UTC), ${days.from} to ${days.until}; the last bar is today.`)),
    card("Open runs that spend the most", top.items.length === 0 ? h("p", { class: "muted" }, "No run is open.") : table("Open runs that spend the most", TOP, top.items, (run) => `/runs/${run.run}`)),
    card("Accounts wider than a run", budget.items.length === 0
      ? h("p", { class: "muted" }, "No agent and no tenant has a budget of an hour, a day or a month.")
      : balances(budget.items)),
  ];
}

const COLUMNS = (by) => (by === "run" ? RUNS : LINES(by));

/** Runs that ended, the dearest first. */
const RUNS = [
  ["Run", (line) => h("span", { class: "id", title: line.of }, short(line.of))],
  ["End", (line) => pill(["success", "failure", "abandoned", "expired"].find((end) => line.now[end] > 0) ?? "closed")],
  ["Cost", (line) => usd(line.now.cost_usd_nanos), "amount"],
  ["People's minutes", (line) => count(line.now.human_minutes), "amount"],
  ["People stepped in", (line) => count(line.now.interventions), "amount"],
];

const LINES = (by) => [
  [by === "agent" ? "Agent" : "Workflow", (line) => (line.of ? words(line.of) : h("span", { class: "muted" }, "none named"))],
  ["Runs", (line) => count(line.now.runs), "amount"],
  ["Succeeded", (line) => `${line.now.completion_percent} %`, "amount"],
  ["Cost", (line) => compared(line, "cost_usd_nanos"), "amount"],
  ["For each success", (line) => compared(line, "cost_per_success_usd_nanos"), "amount"],
  ["Tokens", (line) => tokens(line.now), "amount"],
  ["People stepped in", (line) => count(line.now.interventions), "amount"],
];

/** A figure, and what it was in the time before. */
function compared(line, name) {
  return [usd(line.now[name]), line.before.runs > 0 && h("span", { class: "muted" }, ` was ${usd(line.before[name])}`)];
}

/** All of them; in, out and cached in the hint. */
function tokens({ tokens, tokens_in, tokens_out, tokens_cached }) {
  return h("span", { title: `${count(tokens_in)} in, ${count(tokens_out)} out, ${count(tokens_cached)} cached` }, count(tokens));
}

const TOP = [
  ["Run", (run) => h("span", { class: "id", title: run.run }, short(run.run))],
  ["Agent", (run) => words(run.agent)],
  ["Opened", (run) => moment(run.opened)],
  ["Calls", (run) => `${count(run.allowed)} / ${count(run.denied)}`, "amount"],
  ["Runs under it", (run) => count(run.under), "amount"],
  ["Cost", (run) => usd(run.cost_usd_nanos), "amount"],
  ["An hour", (run) => usd(run.usd_nanos_per_hour), "amount"],
];

// ---- Days -------------------------------------------------------------------------------------------------

const DAY_MS = 86_400_000;

/** Who spent, the dearest first, each with its days; a day on which nothing happened is an empty place. */
function lines({ from, until, items }) {
  const first = Date.parse(from);
  const length = Math.round((Date.parse(until) - first) / DAY_MS) + 1;
  const all = new Map();
  for (const item of items) {
    const line = all.get(item.of) ?? { of: item.of, allowed: 0, denied: 0, cost: 0, days: new Array(length).fill(0) };
    line.allowed += item.allowed;
    line.denied += item.denied;
    line.cost += item.cost_usd_nanos;
    line.days[Math.round((Date.parse(item.day) - first) / DAY_MS)] += item.cost_usd_nanos;
    all.set(item.of, line);
  }
  const most = Math.max(1, ...[...all.values()].flatMap((line) => line.days));
  return [...all.values()].map((line) => ({ ...line, most })).sort((a, b) => b.cost - a.cost || b.allowed - a.allowed);
}

const DAYS = (of) => [
  [of === "agent" ? "Agent" : "Tool", (line) => (line.of ? words(line.of) : h("span", { class: "muted" }, "beside their calls"))],
  ["Calls", (line) => count(line.allowed), "amount"],
  ["Refused", (line) => count(line.denied), "amount"],
  ["Cost", (line) => usd(line.cost), "amount"],
  ["Each day", bars],
];

/** All lines on one scale, so that they can be compared; the figures stand beside it. */
function bars({ days, most }) {
  const bar = (cost, at) => (cost > 0 ? `M${at + 0.1} 20v${-Math.max(1, (20 * cost) / most)}h.8v20z` : "");
  const drawn = svg("path", { d: days.map(bar).join("") });
  const title = `dearest day: ${usd(Math.max(...days))}`;
  return h("span", { title }, svg("svg", { class: "bars days", viewBox: `0 0 ${days.length} 20`, preserveAspectRatio: "none", "aria-hidden": "true" }, drawn));
}

// ---- Accounts ---------------------------------------------------------------------------------------------

/** Each account, and of each currency that has a limit how much of it is gone. */
export function balances(items, run) {
  return h("div", { class: "accounts" }, items.map((account) => h("div", { class: "account" },
    h("p", null, h("strong", null, account.window === "run" ? above(account, run) : words(account.account)), " ",
      h("span", { class: "muted" }, account.window === "run" ? "ends " : `${plain(account.window)}, new `, moment(account.until)),
      account.paused && [" ", pill("paused", "unknown"), " ", words(account.paused)],
      account.runs_out && h("span", { class: "bad" }, " spent ", moment(account.runs_out), " at this rate")),
    currencies(account).length === 0 && h("p", { class: "muted" }, "No limit of its own: it takes from the run above it."),
    currencies(account).map(([name, spent, pending, limit]) => gauge(name, spent, pending, limit)))));
}

function above(account, run) {
  return !run || account.account === run ? "this run" : ["the run above it, ", link(`/runs/${part(account.account)}`, short(account.account))];
}

function currencies({ limits, posted, pending }) {
  const flat = (spend) => ({ ...spend, ...spend?.counted, counted: undefined });
  const [most, spent, held] = [flat(limits), flat(posted), flat(pending)];
  return Object.entries(most).filter(([, limit]) => typeof limit === "number").map(([name, limit]) => [name, spent[name] ?? 0, held[name] ?? 0, limit]);
}

function gauge(name, spent, pending, limit) {
  const dollars = name === "usd_nanos";
  const shown = (value) => (dollars ? (value ? usd(value) : "$0") : count(value));
  const title = dollars ? "usd" : plain(name.replaceAll("_", " "));
  const full = limit > 0 ? Math.min(100, (100 * (spent + pending)) / limit) : 100;
  const bar = h("span", { class: full >= 80 ? "full" : undefined });
  bar.style.setProperty("width", `${full}%`);
  return h("div", { class: "gauge" }, h("span", null, title), h("span", { class: "track", "aria-hidden": "true" }, bar),
    h("span", { class: "muted" }, `${shown(spent)} of ${shown(limit)}${pending ? `, ${shown(pending)} held` : ""}`));
}

