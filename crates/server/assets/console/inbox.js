// Inbox: what waits for a person's yes, all there is to know of it, and the answer. A no is as easy as a yes.

import { get, part, post } from "./api.js";
import { code, count, h, json, millis, moment, plain, put, several, short, usd, words } from "./dom.js";
import { listen } from "./live.js";
import { card, diff, empty, facts, folded, head, link, pill, question, rule, table } from "./parts.js";

/** What changes what waits. */
const CHANGES = ["answered", "collected", "run_closed", "run_paused", "halted", "resumed"];
const REDRAW_MS = 400;
/** From this score on a risk is shown as one. */
const HIGH = 60;

export async function show(house, id) {
  const path = "/v1/inbox";
  const [inbox, stats] = await Promise.all([get(path), get("/v1/inbox/stats").catch(() => undefined)]);
  const chosen = id ?? inbox.items[0]?.call;
  const item = chosen ? await get(`${path}/${part(chosen)}`).catch((error) => ({ gone: error })) : undefined;
  follow(house);
  const title = ["Inbox", inbox.waiting > 0 && h("span", { class: "muted" }, ` ${count(inbox.waiting)} waiting, ${count(inbox.mine)} for you`)];
  if (!item) {
    return [
      head(title, path),
      empty("Nothing waits for a person.", "A call comes here when a rule would allow it if somebody approved, or when its agent only proposes. See what your ", link("/rules", "rules"), " ask for."),
      figures(house, inbox, stats),
    ];
  }
  if (item.gone && item.gone.status !== 404) throw item.gone;
  return [
    head(title, item.gone ? path : `${path}/${part(chosen)}`),
    h("div", { class: "inbox" },
      h("nav", { class: "waiting", "aria-label": "What waits, the riskiest first" }, groups(inbox.items, chosen)),
      item.gone ? ended(chosen) : shown(house, item, inbox)),
    figures(house, inbox, stats),
  ];
}

/** Draws anew when something comes or goes; never under somebody who is about to answer. */
function follow(house) {
  let due;
  const again = () => {
    clearTimeout(due);
    due = setTimeout(() => (document.querySelector("dialog[open]") ? again() : house.reload()), REDRAW_MS);
  };
  house.leave.push(listen(({ event }) => {
    const asks = event.kind === "call_decided" && (event.body.ruling === "ask" || event.body.ends_ask);
    if (asks || CHANGES.includes(event.kind)) again();
  }), () => clearTimeout(due));
}

// ---- The list ---------------------------------------------------------------------------------------------

/** Of one run together: who reads the first knows what the others are part of. */
function groups(items, chosen) {
  const runs = [...new Set(items.map((item) => item.run))];
  return runs.map((run) => {
    const own = items.filter((item) => item.run === run);
    return h("section", null,
      h("p", { class: "muted" }, words(own[0].agent), own[0].person ? [" for ", words(own[0].person)] : null, " ", link(`/runs/${run}`, short(run))),
      h("ul", { class: "plain" }, own.map((item) => h("li", null,
        h("a", { href: `/inbox/${item.call}`, class: "one", id: `one-${item.call}`, "aria-current": item.call === chosen ? "true" : undefined },
          score(item.risk.score), h("span", { class: "what" }, name(item)),
          h("span", { class: "muted" }, item.may_answer ? moment(item.asked) : [moment(item.asked), " · not yours"]))))));
  });
}

/** What it is about, in a few words. */
function name(item) {
  return item.kind === "proposals" ? "what its run proposes" : item.kind === "plan" ? "a plan" : words(item.tool);
}

function score(number) {
  return h("span", { class: `pill ${number >= HIGH ? "deny" : number >= HIGH / 2 ? "ask" : "plain"}`, title: "Risk, of 100" }, h("span", { class: "visually-hidden" }, "risk "), count(number));
}

/** Another has answered, or it is over. */
function ended(call) {
  return h("div", { class: "item" }, empty("This waits no longer.", "It was answered, it expired, or its run is over. ", link(`/calls/${call}`, "See what became of it"), "."));
}

// ---- One of them ------------------------------------------------------------------------------------------

function shown(house, it, inbox) {
  const { item } = it;
  const may = item.may_answer;
  const acts = {
    y: () => say(house, it, true), n: () => say(house, it, false), e: () => item.kind === "call" && edit(house, it),
  };
  const button = (id, key, text, kind) => h("button", { type: "button", id, class: kind, onclick: acts[key] }, text, " ", h("kbd", { "aria-hidden": "true" }, key));
  const place = h("section", { class: "item", "aria-label": "What is asked" },
    h("div", { class: "head" }, h("h2", null, pill("ask"), " ", name(item)),
      h("div", { class: "actions" }, may
        ? [button("say-no", "n", "No", "wide"), button("say-yes", "y", "Yes", "wide"),
          item.kind === "call" && button("edit", "e", "Change"),
          item.kind === "call" && h("button", { type: "button", id: "standing", class: "quiet", onclick: () => standing(house, it) }, "Also the next ones")]
        : h("span", { class: "muted" }, words(item.may_not)))),
    it.about && h("p", null, words(it.about)),
    h("blockquote", null, h("p", { class: "muted" }, "Why, in the agent's own words. Nobody has checked them."),
      (it.reason || item.kind === "call") && h("p", null, it.reason ? words(it.reason) : "It gives no reason."),
      it.intent && h("p", null, h("span", { class: "muted" }, "Its run is for: "), words(it.intent))),
    item.kind === "call"
      ? card(it.asked_args ? "What would be sent, as it was changed" : "What would be sent",
        it.asked_args ? diff(lines(it.asked_args, it.args)) : it.args === null ? h("p", { class: "bad" }, "The arguments were erased.") : json(it.args),
        it.changes.map(before))
      : card(item.kind === "plan" ? "What the plan would do" : "What the run would change, all together", it.changes.map((one) => change(it, one, may))),
    facts([
      ["Asks", link(`/agents/${part(item.agent)}`, words(item.agent))],
      ["For", it.chain.length > 0 && words(it.chain.join(", "))],
      ["Effect", h("span", { class: item.effect === "irreversible" ? "bad" : undefined }, `${plain(item.effect)}: ${plain(it.undo)}`)],
      ["Costs at most", usd(item.cost_usd_nanos)],
      ["Model", it.model && words(it.model)],
      ["Asked", moment(item.asked)], ["Is a no", moment(item.expires)],
      ["Run", link(`/runs/${item.run}`, short(item.run))],
    ]),
    card(["Risk ", score(item.risk.score), h("span", { class: "muted" }, "of 100")], risk(item.risk)),
    card("Who must say yes", h("ul", { class: "plain rows" }, item.groups.map(group)), it.said.length > 0 && h("ul", { class: "plain rows" }, it.said.map(answer))),
    it.rules.length > 0 && card("Then allowed by", h("ul", { class: "plain" }, it.rules.map((one) => h("li", null, rule(one))))),
    it.similar.length > 0 && card("What calls like it got", similar(it.similar)),
    it.beside.length > 0 && h("p", { class: "muted" }, `${several(it.beside.length, "other call")} of this run ${it.beside.length === 1 ? "waits" : "wait"}, too.`),
    inbox.reason_from > 0 && item.reason_required && h("p", { class: "muted" }, `From a risk of ${count(inbox.reason_from)} on, a yes says why.`));
  if (may) place.acts = acts;
  return place;
}

/** What of the things that are there now becomes another, as Remit has found it. */
export function before(one) {
  if (one.trouble) return h("p", { class: "muted" }, "What is there now is not known: ", words(one.trouble), ".");
  if (one.before === undefined || one.before === null) return null;
  const differs = one.differs ?? [];
  if (differs.length === 0) return folded("What is there now", json(one.before));
  return h("div", null, h("p", { class: "muted" }, "Before → after:"), diff(differs.flatMap(different)), folded("All that is there now", json(one.before)));
}

/** A difference in lines: its place, then what goes and what comes. */
function different(one) {
  const sides = [["-", one.before], ["+", one.after]].filter(([, value]) => value !== undefined);
  return [`  ${one.at || "all of it"}`, ...(one.lines ?? sides.map(([mark, value]) => `${mark} ${JSON.stringify(value)}`))];
}

/** One of several writes; of proposals each may be left out. */
function change(it, one, may) {
  const picks = it.item.kind === "proposals" && may && !one.replaced_by;
  const title = [words(one.tool), " ", h("span", { class: one.effect === "irreversible" ? "bad" : "muted" }, plain(one.effect))];
  return h("section", { class: "change", id: `change-${one.id}` },
    h("p", null, picks ? h("label", null, tick(one.id), h("span", null, title)) : title,
      one.undo && h("span", { class: "muted" }, " taken back by ", words(one.undo)),
      one.cost_usd_nanos > 0 && h("span", { class: "muted" }, " at most ", usd(one.cost_usd_nanos))),
    one.replaced_by && h("p", { class: "muted" }, "Will not be done: ", beside(it, one.replaced_by), ", proposed later, takes its place."),
    one.against?.length > 0 && h("p", { class: "bad" }, "Touches the same as ", one.against.map((id) => beside(it, id)).join(", "), ": look at them together."),
    one.reason && h("p", { class: "muted" }, "In the agent's words: ", words(one.reason)),
    before(one),
    one.after === null ? h("p", { class: "bad" }, "The arguments were erased.") : one.replaced_by ? folded("What it was", json(one.after)) : json(one.after));
}

/** Another of the same set, by its tool and the end of its name. */
function beside(it, id) {
  const other = it.changes.find((one) => one.id === id);
  return other ? `${plain(other.tool)} (${short(id)})` : short(id);
}

/** What somebody has left out stays left out when the page draws itself anew. */
const leftOut = new Set();

function tick(id) {
  return h("input", { type: "checkbox", class: "pick", value: id, checked: !leftOut.has(id),
    onchange: (event) => (event.target.checked ? leftOut.delete(id) : leftOut.add(id)) });
}

/** Those that are ticked; none named means all. */
function picked() {
  const all = [...document.querySelectorAll("input.pick")];
  const ticked = all.filter((box) => box.checked);
  return { all: all.length, only: ticked.length === all.length ? undefined : ticked.map((box) => box.value) };
}

function risk({ parts }) {
  return h("div", null, parts.map((one) => {
    const bar = h("span", { class: one.points >= HIGH / 2 ? "full" : undefined });
    bar.style.setProperty("width", `${Math.min(100, one.points)}%`);
    return h("div", { class: "gauge" }, h("span", null, plain(one.name).replaceAll("_", " ")), h("span", { class: "track", "aria-hidden": "true" }, bar),
      h("span", { class: "muted" }, `+${count(one.points)} `, words(one.says)));
  }));
}

function group(it) {
  const name = it.group.startsWith("owner:") ? ["the agent's owner, ", words(it.group.slice(6))] : words(it.group);
  return h("li", null, h("strong", null, name), h("span", null, `${count(it.yes.length)} of ${count(it.quorum)}`),
    h("span", { class: "muted" }, it.yes.length > 0 ? ["yes from ", words(it.yes.join(", "))] : ["asked of ", words(it.members.join(", ") || "nobody")]),
    it.escalates && h("span", { class: "muted" }, "also ", words(it.escalates.to), " ", moment(it.escalates.at)));
}

function answer(it) {
  return h("li", null, words(it.by), pill("yes", "allow"), moment(it.at),
    !it.counts && h("span", { class: "muted" }, "to what it was before: it does not count"));
}

function similar(items) {
  return h("ul", { class: "plain rows" }, items.map((it) => h("li", null, pill(it.yes ? "approved" : "denied", it.yes ? "allow" : "deny"),
    link(`/calls/${it.call}`, short(it.call)), h("span", { class: "muted" }, words(it.by), " ", moment(it.at)))));
}

// ---- Answers ----------------------------------------------------------------------------------------------

async function send(house, it, body) {
  const taken = await post(`/v1/inbox/${part(it.item.call)}/answer`, { bound: it.item.bound, ...body });
  // What is answered leaves the list: on to the next, wherever that is.
  setTimeout(() => house.go(taken.state === "waiting" ? `/inbox/${it.item.call}` : "/inbox"));
  return taken;
}

/** Yes and no take the same two keys, and the same field for words. */
function say(house, it, yes) {
  const { item } = it;
  const of = item.kind === "call" ? plain(item.tool) : item.kind === "plan" ? "the plan" : "what the run proposes";
  const { all, only } = picked();
  // Nothing that is ticked is a no, and is said as one.
  if (yes && only?.length === 0) return say(house, it, false);
  const told = item.kind === "call" ? json(it.args)
    : h("p", null, only && yes ? `${count(only.length)} of ${several(all, "write")}; what is left out is refused.` : `${several(all || it.changes.length, "write")}, all or nothing.`);
  return question({
    title: yes ? `Approve ${of}` : `Say no to ${of}`, deed: yes ? "Approve" : "Say no",
    says: [told, yes && isFinal(it, only) && h("p", { class: "bad" }, "It cannot be undone.")],
    fields: [{ name: "words", label: "Why", required: yes && item.reason_required,
      hint: yes ? "Stands in the ledger; the agent is told." : "The agent is told. It may be left empty." }],
    act: ({ words: text }) => send(house, it, { yes, words: text || undefined, only: yes ? only : undefined }),
  });
}

/** Whether something cannot be undone of what a yes is to. */
function isFinal(it, only) {
  if (it.item.kind === "call") return it.item.effect === "irreversible";
  return it.changes.some((one) => one.effect === "irreversible" && !one.replaced_by && (only === undefined || only.includes(one.id)));
}

/** The same call with other arguments; what is different is shown while it is written. */
function edit(house, it) {
  const place = h("div", { "aria-live": "polite" });
  const before = JSON.stringify(it.args, null, 2);
  const done = question({
    title: `Change ${plain(it.item.tool)} and approve it`, deed: "Approve as changed", says: place,
    fields: [
      { name: "args", label: "What is sent instead", value: before, rows: Math.min(14, before.split("\n").length + 1), required: true, hint: "As JSON. What the rules would refuse is refused here, too." },
      { name: "words", label: "Why", required: it.item.reason_required, hint: "The agent is told of the change, and why." },
    ],
    act: ({ args, words: text }) => send(house, it, { yes: true, edit: read(args), words: text || undefined }),
  });
  const field = document.querySelector("dialog[open] textarea[name=args]");
  const draw = () => {
    try {
      put(place, diff(lines(it.args, JSON.parse(field.value))));
    } catch {
      put(place, h("p", { class: "muted" }, "This is not JSON yet."));
    }
  };
  field.addEventListener("input", draw);
  draw();
  return done;
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw Object.assign(new Error(error.message), { problem: { title: "Not JSON", detail: error.message } });
  }
}

/** A yes to the next ones, too: as narrow as it starts. */
function standing(house, it) {
  const top = Object.entries(it.args ?? {}).filter(([, value]) => value === null || typeof value !== "object");
  const bounds = top.map(([name, value]) => {
    const options = [["same", `must be ${plain(JSON.stringify(value))}`], ["any", "may be anything"]];
    if (Number.isInteger(value) && value >= 0) options.splice(1, 0, ["most", `at most ${value}`]);
    return { name: `arg:${name}`, label: name, value: "same", options };
  });
  return question({
    title: `Approve ${plain(it.item.tool)}, and the next ones like it`, deed: "Approve these",
    says: h("p", null, "Of this run and the runs below it, to the same destinations. It ends when the rules or the tool change."),
    fields: [
      { name: "times", label: "How many more", value: "3", type: "number", required: true },
      { name: "within", label: "For how long", value: "1h", required: true },
      ...bounds,
      { name: "words", label: "Why", required: it.item.reason_required },
    ],
    act: (told) => {
      const pointer = (name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      const of = (kind) => top.filter(([name]) => told[`arg:${name}`] === kind);
      const same = of("same").map(([name]) => pointer(name));
      const atMost = Object.fromEntries(of("most").map(([name, value]) => [pointer(name), value]));
      return send(house, it, { yes: true, words: told.words || undefined, standing: { times: Number(told.times), within: told.within, same, at_most: atMost } });
    },
  });
}

/** Two values line by line: what they share, what went, what came. */
export function lines(before, after) {
  const [a, b] = [before, after].map((value) => JSON.stringify(value, null, 2).split("\n"));
  const same = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) same[i][j] = a[i] === b[j] ? same[i + 1][j + 1] + 1 : Math.max(same[i + 1][j], same[i][j + 1]);
  }
  const out = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push(`  ${a[i]}`);
      [i, j] = [i + 1, j + 1];
    } else if (i < a.length && (j >= b.length || same[i + 1][j] >= same[i][j + 1])) out.push(`- ${a[i++]}`);
    else out.push(`+ ${b[j++]}`);
  }
  return out;
}

// ---- Whether anybody still looks --------------------------------------------------------------------------

const FIGURES = [
  ["Approved", (row) => count(row.approved), "amount"],
  ["Denied", (row) => count(row.denied), "amount"],
  ["Yes", (row) => `${count(row.approved_percent)} %`, "amount"],
  ["Time to decide", (row) => millis(row.seconds_median * 1000), "amount"],
  ["", (row) => (row.always_approved ? h("span", { class: "bad" }, "never a no: does anybody look?") : "")],
];

function figures(house, inbox, stats) {
  const own = stats?.approvers.find((row) => row.of === house.session.person);
  return h("div", { class: "fatigue" },
    h("p", { class: "muted" }, own
      ? `You said yes ${several(own.approved, "time")} and no ${several(own.denied, "time")} in ${plain(stats.within)}; half of your answers took less than ${millis(own.seconds_median * 1000)}. `
      : null,
    `A run that asks more than ${several(inbox.per_run_max, "time")} is paused; so is one of an agent that asks more than ${count(inbox.per_agent_hour_max)} times an hour.`),
    stats && stats.approvers.length + stats.rules.length > 0 && folded("How people answer", h("div", { class: "columns" },
      table("Approvers", [["Approver", (row) => words(row.of)], ...FIGURES], stats.approvers),
      table("Rules that ask", [["Rule", (row) => code(row.of)], ...FIGURES], stats.rules))));
}
