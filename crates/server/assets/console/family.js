// The runs that share a root: who opened what under whom, as a tree.

import { count, h, short, usd, words } from "./dom.js";
import { card, link, pill } from "./parts.js";

/** The tree of a run's family, with this run marked. */
export function family(run, runs) {
  const known = new Set(runs.map((one) => one.run));
  const under = grouped(runs);
  const tops = runs.filter((one) => !one.parent || !known.has(one.parent));
  const tree = (list) => h("ul", null, list.map((one) => h("li", null, node(run, one), under.has(one.run) && tree(under.get(one.run)))));
  const cost = runs.reduce((sum, one) => sum + one.cost_usd_nanos, 0);
  return card(["Delegation ", h("span", { class: "muted" }, `${count(runs.length)} runs of one root, ${usd(cost)} together`)],
    h("div", { class: "tree", tabindex: "0", role: "region", "aria-label": "Runs of one root" }, tree(tops)));
}

function node(run, one) {
  const own = one.run === run.run;
  return h("div", { class: own ? "node own" : "node", "aria-current": own ? "true" : undefined },
    own ? h("strong", { class: "id" }, short(one.run)) : link(`/runs/${one.run}`, h("span", { class: "id", title: one.run }, short(one.run))),
    words(one.agent), one.closed ? pill(one.outcome ?? "closed", { success: "succeeded", failure: "failed" }[one.outcome] ?? "plain") : pill("open", "open"),
    h("span", { class: "muted" }, `${count(one.allowed)} allowed, `, h("span", { class: one.denied + one.uncounted > 0 ? "bad" : undefined }, `${count(one.denied + one.uncounted)} refused`), `, ${usd(one.cost_usd_nanos)}`));
}

function grouped(runs) {
  const under = new Map();
  for (const one of runs) under.set(one.parent, [...(under.get(one.parent) ?? []), one]);
  return under;
}
