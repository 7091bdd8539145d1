// Plans: what a run means to write, what became of each step, and how it is taken back.

import { get, part, post, url } from "./api.js";
import { code, h, json, moment, several, short, words } from "./dom.js";
import { before } from "./inbox.js";
import { card, link, pill, question, table, trouble } from "./parts.js";

/** Step states and stages in the colours of outcomes. */
const KINDS = {
  done: "succeeded", committed: "succeeded", failed: "failed", undo_failed: "failed", quarantined: "failed",
  unknown: "unknown", paused: "unknown", unwinding: "unknown", running: "open", undoing: "open", committing: "open",
};

/** The card of a run's newest plan. */
export function plan(house, run, it) {
  const may = house.session.may_operate;
  const stands = it.steps.some((step) => step.state === "done" && step.undo);
  return card(["Plan ", pill(it.stage, KINDS[it.stage] ?? "plain"), h("span", { class: "muted" }, `version ${it.version}`),
    it.stage === "proposed" && h("button", { type: "button", id: "would-change", class: "quiet", onclick: () => wouldChange(run) }, "What would it change?"),
    may && it.stage === "committed" && stands
      && h("button", { type: "button", class: "danger", id: "take-back", onclick: () => takeBack(house, run) }, "Take back"),
    may && it.stage === "quarantined" && !it.accepted
      && h("button", { type: "button", id: "accept-residue", onclick: () => accept(house, run, it) }, "Accept what is left")],
  h("p", null, words(it.says)),
  table("Steps of the plan", columns(house, run, may), it.steps),
  it.residue.length > 0 && h("div", { class: "residue" },
    h("p", null, h("strong", null, "Left behind"), ", for ", words(it.owner), " to look at"),
    h("ul", null, it.residue.map((left) => h("li", null, code(left.step), " ", words(left.tool),
      left.what === "stands" ? " stands" : " may stand", left.why && [": ", words(left.why)])))));
}

function columns(house, run, may) {
  return [
    ["Step", (step) => h("span", { class: "id" }, words(step.id))],
    ["Tool", (step) => words(step.tool)],
    ["State", (step) => [pill(step.state, KINDS[step.state] ?? "plain"), step.trouble && [" ", code(step.trouble)]]],
    ["After", (step) => (step.after.length > 0 ? words(step.after.join(", ")) : "–")],
    ["Call", (step) => (step.call ? link(`/calls/${part(step.call)}`, short(step.call)) : "–")],
    ["Taken back by", back],
    ["Until", (step) => (step.undo_until ? moment(step.undo_until) : "–")],
    ["", (step) => may && step.state === "unknown" && step.unsettled?.length > 0
      && h("button", { type: "button", onclick: () => settle(house, step) }, "Settle")],
  ];
}

function back(step) {
  if (!step.undo) return h("span", { class: "muted" }, "nothing");
  const by = [words(step.undo), !step.guarded && h("span", { class: "muted" }, " (unguarded)")];
  return step.undo_call ? [by, ": ", link(`/calls/${part(step.undo_call)}`, short(step.undo_call))] : by;
}

/** What is there now is read for this: those reads are calls of the run, so nobody makes them unasked. */
async function wouldChange(run) {
  let says;
  try {
    const shown = await get(url(`/v1/runs/${part(run.run)}/plan`, { look: true }));
    says = (shown.changes ?? []).map((one) => h("section", { class: "change" },
      h("p", null, code(one.id), " ", words(one.tool)),
      before(one) ?? [h("p", { class: "muted" }, "Its contract names no read for what is there before it. It sends:"), json(one.after)]));
  } catch (error) {
    says = trouble(error);
  }
  await question({ title: "What the plan would change", says, deed: "Understood", act: async () => true });
}

/** Asks Remit first what would be done, so that nobody agrees to what they have not seen. */
async function takeBack(house, run) {
  const path = `/v1/runs/${part(run.run)}/undo`;
  let would;
  try {
    would = await post(path, { dry: true });
  } catch (error) {
    await question({ title: "It cannot be taken back", says: trouble(error), deed: "Understood", act: async () => true });
    return;
  }
  const done = await question({
    title: "Take the run back", deed: "Take back", danger: true,
    says: [h("p", null, `${several(would.steps.length, "step")} will be taken back, in this order:`),
      h("ol", null, would.steps.map((step) => h("li", null, code(step.step), " by ", words(step.undo),
        !step.guarded && h("span", { class: "muted" }, " (nobody looks whether it was changed since)"))))],
    fields: [{ name: "why", label: "Why", required: true, hint: "Stands in the ledger." }],
    act: (told) => post(path, { why: told.why }),
  });
  if (done) house.reload();
}

function accept(house, run, it) {
  return question({
    title: "Accept what is left", deed: "Accept",
    says: h("p", null, `${several(it.residue.length, "step")} stay as they are, and the run no longer waits for anybody. Nothing is taken back.`),
    fields: [{ name: "why", label: "Why", required: true, hint: "Stands in the ledger." }],
    act: (told) => post(`/v1/runs/${part(run.run)}/accept`, { why: told.why }),
  }).then((done) => done && house.reload());
}

function settle(house, step) {
  return question({
    title: `Did ${step.id} happen?`, deed: "Settle",
    says: h("p", null, "Nobody knows whether ", words(step.tool), " did it. Look into the system that it writes to; the plan goes on from what you say."),
    fields: [
      { name: "as", label: "It", value: "not-done", options: [["not-done", "did not happen"], ["done", "happened"]] },
      { name: "why", label: "Why", required: true, hint: "How you know. Stands in the ledger." },
    ],
    act: (told) => post(`/v1/calls/${part(step.unsettled[0])}/resolve`, { as: told.as, why: told.why }),
  }).then((done) => done && house.reload());
}
