// Now: verdicts as they fall, what is refused, what needs somebody.

import { get } from "./api.js";
import { clock, code, count, digest, h, moment, plain, put, several, svg, usd, words } from "./dom.js";
import { listen, watch } from "./live.js";
import { card, empty, head, link, pill } from "./parts.js";

/** More than so many verdicts a second are counted, and not shown one by one. */
const SHOWN_PER_SECOND = 20;
const ROWS_MAX = 60;
const REFUSALS_MAX = 12;
const DRAW_MS = 250;
const SUMMARY_MS = 15_000;
const SECONDS = 60;

export async function show(house) {
  const [status, calls, denied, unknown, tools] = await Promise.all([
    get("/v1/status"), get("/v1/calls?limit=20"), get(`/v1/calls?ruling=deny&limit=${REFUSALS_MAX}`),
    get("/v1/calls?outcome=unknown&limit=5"), get("/v1/tools"),
  ]);
  const numbers = h("div", { class: "numbers" });
  const needs = h("div");
  const rows = h("ol", { class: "stream", "aria-label": "Verdicts, newest first" });
  const refused = h("ol", { class: "stream", "aria-label": "Refusals, newest first" });
  const note = h("span", { class: "muted", id: "sampled" });
  const summary = h("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const light = h("span", { class: "light" });
  const pause = h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => flow.turn() }, "Pause");
  const flow = new Flow({ rows, refused, note, numbers, summary, pause, status });

  house.leave.push(watch((state) => {
    const said = { live: "live", lost: "connection lost, trying again", off: "not live" }[state];
    put(light, h("span", { class: `dot ${state}`, "aria-hidden": "true" }), said);
  }));
  const wanted = () => draw(needs, house, flow.status, unknown, tools);
  for (const call of calls.items.reverse()) flow.row(ofCall(call));
  for (const call of denied.items.reverse()) flow.refusal(ofCall(call));
  flow.drawNumbers();
  wanted();
  house.leave.push(listen(({ event }) => flow.hear(event)));
  const drawing = setInterval(() => flow.draw(), DRAW_MS);
  const telling = setInterval(() => flow.tell(), SUMMARY_MS);
  const asking = setInterval(async () => {
    try {
      flow.status = await get("/v1/status");
      wanted();
    } catch { /* the light says it */ }
  }, 5000);
  house.leave.push(() => [drawing, telling, asking].forEach(clearInterval));

  const nothing = status.allowed + status.denied === 0 && calls.items.length === 0;
  return [
    head("Now", "/v1/status", light),
    summary, numbers, needs,
    nothing && empty("No call has been decided yet.", "Mint a key for one of your ", link("/agents", "agents"),
      " and point it at the agents' address; or see what your ", link("/rules", "rules"), " would say to a call."),
    h("div", { class: "columns" },
      card(["Verdicts ", note, pause], rows),
      card(["Refused ", link("/calls?ruling=deny", "all")], refused)),
  ];
}

function ofCall(call) {
  return { at: call.at, call: call.call, run: call.run, agent: call.agent, tool: call.tool, ruling: call.verdict.ruling,
    codes: call.verdict.reasons.map((reason) => reason.code), says: call.verdict.reasons[0]?.says, outcome: call.outcome };
}

function ofEvent(event) {
  const it = event.body;
  return { at: event.at, call: it.call, run: it.run, agent: it.agent, tool: it.tool, ruling: it.ruling,
    codes: (it.reasons ?? []).map((reason) => reason.code) };
}

/** What streams by: counted exactly, drawn four times a second, shown in samples when it is too much. */
class Flow {
  constructor(parts) {
    Object.assign(this, parts);
    this.waiting = [];
    this.waitingRefusals = [];
    this.shown = new Map();
    this.second = { at: 0, shown: 0, seen: 0, refusals: 0 };
    this.left = 0;
    this.paused = false;
    this.told = { allow: 0, deny: 0 };
    this.past = Array.from({ length: SECONDS }, () => ({ allow: 0, deny: 0, usd: 0 }));
    this.pastAt = Math.floor(Date.now() / 1000);
  }

  hear(event) {
    if (event.kind === "call_decided") this.decided(event);
    else if (event.kind === "call_finished") this.finished(event.body);
  }

  decided(event) {
    this.roll();
    const ruling = event.body.ruling;
    // What waits for people is neither yet; it is counted when it is decided.
    if (ruling !== "ask") {
      this.past[SECONDS - 1][ruling] += 1;
      this.told[ruling] += 1;
    }
    const second = Math.floor(Date.now() / 1000);
    if (this.second.at !== second) this.second = { at: second, shown: 0, seen: 0, refusals: 0, before: this.second };
    this.second.seen += 1;
    if (this.second.shown < SHOWN_PER_SECOND) {
      this.second.shown += 1;
      this.waiting.push(ofEvent(event));
    }
    if (ruling === "deny" && this.second.refusals < REFUSALS_MAX) {
      this.second.refusals += 1;
      this.waitingRefusals.push(ofEvent(event));
    }
  }

  finished(it) {
    this.roll();
    this.past[SECONDS - 1].usd += it.posted?.usd_nanos ?? 0;
    const waiting = this.waiting.find((row) => row.call === it.call);
    if (waiting) waiting.outcome = it.outcome;
    else this.outcome(it.call, it.outcome);
  }

  outcome(call, outcome) {
    const place = this.shown.get(call)?.querySelector(".outcome");
    if (place) put(place, pill(outcome));
  }

  /** Moves the last minute on. */
  roll() {
    const second = Math.floor(Date.now() / 1000);
    for (; this.pastAt < second; this.pastAt += 1) {
      this.past.push({ allow: 0, deny: 0, usd: 0 });
      this.past.shift();
      if (second - this.pastAt > SECONDS) this.pastAt = second - SECONDS;
    }
  }

  draw() {
    this.roll();
    if (!this.paused) {
      for (const row of this.waiting.splice(0)) this.row(row);
      for (const row of this.waitingRefusals.splice(0)) this.refusal(row);
      const last = [this.second, this.second.before].find((it) => it && it.seen > it.shown && it.at >= this.pastAt - 1);
      put(this.note, last ? `a sample: ${last.shown} of ${count(last.seen)} this second` : "");
    } else {
      this.waiting.splice(0, Math.max(0, this.waiting.length - ROWS_MAX));
      this.waitingRefusals.splice(0, Math.max(0, this.waitingRefusals.length - REFUSALS_MAX));
    }
    this.drawNumbers();
  }

  row(it) {
    const item = h("li", null, clock(it.at), pill(it.ruling),
      link(`/calls/${it.call}`, h("bdi", { class: "tool" }, plain(it.tool))),
      h("span", { class: "agent" }, words(it.agent)),
      h("span", { class: "outcome" }, it.outcome ? pill(it.outcome) : it.codes.map((one) => code(one))));
    this.rows.prepend(item);
    this.shown.set(it.call, item);
    if (this.rows.childElementCount > ROWS_MAX) this.rows.lastElementChild.remove();
    if (this.shown.size > ROWS_MAX) this.shown.delete(this.shown.keys().next().value);
  }

  refusal(it) {
    this.refused.prepend(h("li", { class: "two" }, clock(it.at),
      link(`/calls/${it.call}`, h("bdi", { class: "tool" }, plain(it.tool))),
      h("span", { class: "agent" }, words(it.agent)), h("span", { class: "outcome" }, it.codes.map((one) => code(one)))));
    if (this.refused.childElementCount > REFUSALS_MAX) this.refused.lastElementChild.remove();
  }

  drawNumbers() {
    const sum = (kind) => this.past.reduce((total, second) => total + second[kind], 0);
    const { status } = this;
    const shown = [
      ["Allowed, last minute", count(sum("allow")), "", "allow"],
      ["Refused, last minute", count(sum("deny")), "", "deny"],
      ["Spent, last minute", usd(sum("usd")), "", "usd"],
      ["Under way", count(status.in_flight), ""],
      ["Wait for people", link("/inbox", count(status.waiting)), ""],
      ["Since start", `${count(status.allowed)} / ${count(status.denied)}`, "allowed / refused"],
      ["Ledger", count(status.head_index), "events"],
      ["Rules", digest(status.rules_digest), several(status.rules, "rule")],
    ];
    // Each is made once, and afterwards only what differs is touched: it is drawn four times a second.
    this.places ??= shown.map(([name, , unit, kind]) => {
      const place = { value: h("strong"), bars: kind && bars(), unit: h("span", { class: "muted" }, unit) };
      this.numbers.append(h("div", { class: "number" }, h("span", { class: "muted" }, name), place.value, place.bars ?? place.unit));
      return place;
    });
    shown.forEach(([, value, , kind], at) => {
      const place = this.places[at];
      const text = value.textContent ?? value;
      if (place.value.textContent !== text) put(place.value, value);
      if (kind) drawBars(place.bars, this.past, kind);
    });
  }

  turn() {
    this.paused = !this.paused;
    this.pause.setAttribute("aria-pressed", String(this.paused));
    put(this.pause, this.paused ? "Go on" : "Pause");
  }

  tell() {
    const { allow, deny } = this.told;
    if (allow + deny > 0) this.summary.textContent = `${allow} allowed, ${deny} refused since the last word`;
    this.told = { allow: 0, deny: 0 };
  }
}

function bars() {
  return svg("svg", { class: "bars", viewBox: `0 0 ${SECONDS} 20`, preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path"));
}

function drawBars(place, past, kind) {
  // Verdicts are drawn on one scale, money on its own.
  const most = Math.max(1, ...past.map((second) => (kind === "usd" ? second.usd : Math.max(second.allow, second.deny))));
  const bar = (second, at) => (second[kind] > 0 ? `M${at} 20v${-Math.max(1, (20 * second[kind]) / most)}h.8V20z` : "");
  const path = past.map(bar).join("");
  place.classList.toggle("deny", kind === "deny");
  if (place.firstChild.getAttribute("d") !== path) place.firstChild.setAttribute("d", path);
}

/** What somebody should look at; absent if there is nothing. */
function draw(place, house, status, unknown, tools) {
  const needs = [];
  if (!status.ready) needs.push([pill("not ready", "deny"), words(status.trouble)]);
  if (status.waiting > 0) needs.push([pill("ask"), link("/inbox", several(status.waiting, "call")), status.waiting === 1 ? " waits for a person's yes" : " wait for a person's yes"]);
  for (const tool of tools.items) {
    const path = `/tools/${encodeURIComponent(tool.tool)}`;
    if (tool.quarantined) needs.push([pill("quarantined", "unknown"), link(path, words(tool.tool)), " is described otherwise than it was accepted"]);
    if (tool.resting_until) needs.push([pill("resting", "unknown"), link(path, words(tool.tool)), " kept failing; it is tried again ", moment(tool.resting_until)]);
  }
  if (unknown.items.length > 0) {
    needs.push([pill("unknown"), link("/calls?outcome=unknown", unknown.next ? "More than 5 calls" : several(unknown.items.length, "call")),
      " may or may not have happened"]);
  }
  put(place, needs.length > 0 && card("Needs somebody", h("ul", { class: "needs" }, needs.map((need) => h("li", null, need)))));
}
