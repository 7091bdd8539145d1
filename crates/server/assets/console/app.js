// The frame around the pages: where one is, who one is, what is halted, the big stop, the keys.

import { get, post, remove, signOut, url } from "./api.js";
import { count, h, moment, plain, put, say, several, words } from "./dom.js";
import { listen, watch } from "./live.js";
import { head, link, question, trouble } from "./parts.js";
import * as agents from "./agents.js";
import * as calls from "./calls.js";
import * as inbox from "./inbox.js";
import * as ledger from "./ledger.js";
import * as login from "./login.js";
import * as now from "./now.js";
import * as rules from "./rules.js";
import * as runs from "./runs.js";
import * as spend from "./spend.js";
import * as tools from "./tools.js";

/**
 * The pages, in the order of the menu. `path` matches whole URLs, `key` follows `g`. A page is
 * `show(house, ...names)`: it returns its nodes, now or later, and may put what it must undo into `house.leave`.
 * To add one: a module, a row here, its URL in `console.rs`.
 */
const PAGES = [
  { path: /^\/$/, title: "Now", key: "n", show: now.show, menu: "/" },
  { path: /^\/inbox$/, title: "Inbox", key: "i", show: inbox.show, menu: "/inbox", badge: () => house.waiting },
  { path: /^\/inbox\/([^/]+)$/, title: "Inbox", show: inbox.show },
  { path: /^\/runs$/, title: "Runs", key: "r", show: runs.show, menu: "/runs" },
  { path: /^\/runs\/([^/]+)$/, title: "Run", show: runs.showOne },
  { path: /^\/calls$/, title: "Calls", key: "c", show: calls.show, menu: "/calls" },
  { path: /^\/calls\/([^/]+)$/, title: "Call", show: calls.showOne },
  { path: /^\/agents$/, title: "Agents", key: "a", show: agents.show, menu: "/agents" },
  { path: /^\/agents\/([^/]+)$/, title: "Agent", show: agents.showOne },
  { path: /^\/tools$/, title: "Tools", key: "t", show: tools.show, menu: "/tools" },
  { path: /^\/tools\/([^/]+)$/, title: "Tool", show: tools.showOne },
  { path: /^\/rules$/, title: "Rules", key: "u", show: rules.show, menu: "/rules" },
  { path: /^\/spend$/, title: "Spend", key: "p", show: spend.show, menu: "/spend" },
  { path: /^\/ledger$/, title: "Ledger", key: "l", show: ledger.show, menu: "/ledger", audit: true },
];

/** What every page is handed. */
const house = {
  session: undefined,
  halts: [],
  /** Calls that wait for this person's answer. */
  waiting: 0,
  leave: [],
  query: () => new URLSearchParams(location.search),
  go,
  reload: () => render(),
  /** Puts a query into the URL; pages read it from there, so that each view of them has its address. */
  ask: (query) => go(url(location.pathname, query)),
  stop,
  resume,
  halted: (scope) => house.halts.find((halt) => halt.scope === scope),
};

// ---- Walking ----------------------------------------------------------------------------------------------

function go(path) {
  history.pushState(null, "", path);
  return render();
}

let turn = 0;

async function render() {
  const mine = ++turn;
  for (const leave of house.leave.splice(0)) leave();
  const main = document.getElementById("main");
  if (location.pathname === "/login" && house.session && !location.hash) history.replaceState(null, "", "/");
  if (location.pathname === "/login" || !house.session) {
    document.title = "Sign in · Remit";
    put(main, await login.show(house, enter));
    return;
  }
  const page = PAGES.find((it) => it.path.test(location.pathname));
  frame(page);
  if (!page) {
    put(main, head("Nothing is here"), h("p", null, "There is no such page. ", link("/", "See what happens now"), "."));
    return;
  }
  document.title = `${page.title} · Remit`;
  const names = location.pathname.match(page.path).slice(1).map(decodeURIComponent);
  const slow = setTimeout(() => main.setAttribute("aria-busy", "true"), 150);
  let nodes;
  try {
    nodes = await page.show(house, ...names);
  } catch (error) {
    if (error.status === 401) return signedOut();
    nodes = [head(page.title), trouble(error)];
  } finally {
    clearTimeout(slow);
    main.removeAttribute("aria-busy");
  }
  // Who has gone on in the meantime does not want this page any more.
  if (mine !== turn) return;
  const same = location.pathname === house.at;
  const before = same ? focused(main) : undefined;
  const opened = same ? unfolded(main) : [];
  put(main, nodes);
  if (opened.length > 0) unfold(main, opened);
  if (house.at !== undefined && house.at !== location.pathname) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  } else if (before) {
    main.querySelector(before)?.focus({ preventScroll: true });
  }
  house.at = location.pathname;
  const title = main.querySelector("h1")?.textContent;
  if (title) document.title = `${title} · Remit`;
}

/** What has the focus, so that it can be found again on the page that is drawn anew. */
function focused(main) {
  const one = document.activeElement;
  if (!one || !main.contains(one)) return undefined;
  if (one.id) return `#${CSS.escape(one.id)}`;
  const href = one.getAttribute("href");
  if (href) return `a[href="${CSS.escape(href)}"]`;
  const row = one.closest("details[data-key]");
  return row && one.matches("summary") ? `details[data-key="${CSS.escape(row.dataset.key)}"] > summary` : undefined;
}

/** The rows that somebody has opened, each by the keys of all that it lies in. */
function unfolded(main) {
  const path = (one) => {
    const above = one.parentElement.closest("main details[data-key]");
    return [...(above ? path(above) : []), one.dataset.key];
  };
  return [...main.querySelectorAll("details[data-key][open]")].map(path);
}

/** What is inside of a row is made when it opens, so the outer ones come first and the inner ones a moment later. */
function unfold(main, paths) {
  const depth = Math.min(...paths.map((path) => path.length));
  for (const path of paths.filter((one) => one.length === depth)) {
    const place = main.querySelector(path.map((key) => `details[data-key="${CSS.escape(key)}"]`).join(" "));
    if (place) place.open = true;
  }
  const left = paths.filter((one) => one.length > depth);
  if (left.length > 0) setTimeout(() => unfold(main, left), 30);
}

addEventListener("popstate", render);

document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a");
  if (!anchor || anchor.target || anchor.download || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (anchor.origin !== location.origin || anchor.pathname.startsWith("/v1/")) return;
  if (anchor.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(anchor.pathname + anchor.search);
});

// ---- The frame --------------------------------------------------------------------------------------------

function frame(current) {
  const shown = PAGES.filter((page) => page.menu && (!page.audit || house.session.may_audit));
  const here = current?.menu ?? PAGES.find((page) => page.menu !== "/" && page.menu && location.pathname.startsWith(page.menu))?.menu;
  put(document.getElementById("top"),
    h("a", { class: "mark", href: "/", "aria-label": "Remit: what happens now" }, "Remit"),
    h("nav", { "aria-label": "Pages" }, shown.map((page) =>
      h("a", { href: page.menu, title: `g ${page.key}`, "aria-current": page.menu === here ? "page" : undefined }, page.title,
        page.badge && h("span", { class: "badge", id: "waiting", hidden: !page.badge() }, count(page.badge()), h("span", { class: "visually-hidden" }, " for you"))))),
    h("div", { class: "who" },
      h("button", { type: "button", class: "quiet", title: "Keys", "aria-label": "Keys of the console", onclick: help }, "?"),
      h("button", { type: "button", class: "quiet name", title: roles(), onclick: leaveSession }, words(house.session.person)),
      house.session.may_operate && h("button", { type: "button", class: "danger stop", id: "stop", onclick: () => stop() }, "Stop")));
  document.querySelector("#top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  banner();
}

function roles() {
  return `Signed in with the roles: ${house.session.roles.map(plain).join(", ")}. Sign out?`;
}

async function leaveSession() {
  const until = house.session.expires;
  const done = await question({
    title: "Sign out", deed: "Sign out", act: signOut,
    says: [h("p", null, words(house.session.person), ` has the roles ${house.session.roles.map(plain).join(", ")}.`),
      until && h("p", null, "The session ends by itself ", moment(until), ".")],
  });
  if (done) signedOut();
}

function signedOut() {
  house.session = undefined;
  house.at = undefined;
  endLive?.();
  endLive = undefined;
  put(document.getElementById("top"), h("span", { class: "mark" }, "Remit"));
  put(document.getElementById("banner"));
  return render();
}

// ---- Halts ------------------------------------------------------------------------------------------------

const HALTS_SHOWN = 2;

async function halts() {
  house.halts = (await get("/v1/halts")).items;
  banner();
}

function banner() {
  const place = document.getElementById("banner");
  // The wider ones first; of many the narrow ones are folded, so that they do not hide the page.
  const wide = (halt) => ["all", "writes", "irreversible"].includes(halt.scope);
  const all = [...house.halts.filter(wide), ...house.halts.filter((halt) => !wide(halt))];
  const [shown, rest] = [all.slice(0, HALTS_SHOWN), all.slice(HALTS_SHOWN)];
  const open = place.querySelector("details")?.open;
  const more = rest.length > 0 && h("details", null, h("summary", { class: "halted" }, `${several(rest.length, "more halt")} in force`), rest.map(halted));
  if (more) more.open = Boolean(open);
  put(place, shown.map(halted), more);
}

function halted(halt) {
  return h("div", { class: "halted" },
    h("strong", null, halt.scope === "all" ? "Everything is halted" : halt.scope === "writes" ? "All writes are halted" : ["Halted: ", words(halt.scope)]),
    h("span", { class: "cut" }, "“", words(halt.why), "” ", words(halt.by), ", ", moment(halt.since),
      halt.reads_allowed && " · what only reads goes on", halt.until && [" · lifts itself ", moment(halt.until)]),
    house.session.may_operate && h("button", { type: "button", onclick: () => resume(halt.scope) }, "Resume"));
}

const UNTIL = [["", "somebody resumes it"], ["15m", "15 minutes have passed"], ["1h", "an hour has passed"], ["4h", "four hours have passed"], ["24h", "a day has passed"]];

/** One stop for everything; pages give a narrower scope. */
async function stop(scope) {
  if (document.querySelector("dialog[open]") || (!scope && !house.session.may_operate)) return;
  const scopes = [["all", "everything: no call of anybody is permitted"], ["writes", "all writes: reads go on"], ["irreversible", "what cannot be undone"]];
  const done = await question({
    title: scope ? `Halt ${plain(scope)}` : "Stop", danger: true, deed: scope ? "Halt" : "Stop now",
    says: h("p", null, "From the answer on, nothing in the scope is permitted. Calls that are under way are stopped where they can be, and you are told what became of them."),
    fields: [
      ...(scope ? [] : [{ name: "scope", label: "What", value: "all", options: scopes }]),
      { name: "why", label: "Why", required: true, hint: "Stands in the ledger, and in each refusal that follows." },
      { name: "until", label: "Until", value: "", options: UNTIL },
      { name: "reads", label: "What only reads", value: "", options: [["", "is stopped too"], ["on", "goes on: a freeze"]] },
    ],
    act: (told) => post("/v1/halts", {
      scope: scope ?? told.scope, why: told.why, until: told.until || undefined, reads_allowed: told.reads === "on" || undefined,
    }),
  });
  if (!done) return;
  await halts();
  await house.reload();
  if (done.in_flight > 0 || done.cancelled > 0 || done.unknown_before > 0) contained(done);
}

/** What the halt met, for whoever has to know what still may happen. */
function contained(report) {
  const calls = (report.calls ?? []).slice(0, 20);
  question({
    title: "Halted. What it met", deed: "Close", act: () => true,
    says: [
      h("p", null, `${several(report.in_flight, "call")} under way: ${count(report.stopped)} stopped, ${count(report.finished)} finished, ${count(report.unclear)} unclear.`),
      report.cancelled > 0 && h("p", null, `Nobody is asked any more about ${several(report.cancelled, "call")}.`),
      report.unknown_before > 0 && h("p", null, `${several(report.unknown_before, "call")} had an unknown end before it.`),
      calls.length > 0 && h("ul", { class: "plain rows" }, calls.map((call) => h("li", null, link(`/calls/${call.call}`, words(call.tool)), h("span", { class: "muted" }, plain(call.end))))),
    ],
  });
}

async function resume(scope) {
  const done = await question({
    title: `Resume ${plain(scope)}`, deed: "Resume",
    fields: [{ name: "why", label: "Why", required: true, hint: "Stands in the ledger." }],
    act: (told) => remove(url("/v1/halts", { scope, why: told.why })),
  });
  if (done) await halts();
  if (done) house.reload();
}

// ---- Keys -------------------------------------------------------------------------------------------------

function help() {
  const keys = [
    ...PAGES.filter((page) => page.key && (!page.audit || house.session?.may_audit)).map((page) => [`g ${page.key}`, page.title]),
    ["j / k", "next / previous row"], ["Enter", "open the row"], ["/", "search"], ["y / n / e", "in the inbox: yes, no, change"], ["s", "stop"], ["Esc", "go back"], ["?", "this"],
  ];
  question({
    title: "Keys", deed: "Close", act: () => true,
    says: h("dl", { class: "keys" }, keys.map(([key, does]) => h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, does)))),
  });
}

function walk(step) {
  const ones = [...document.querySelectorAll("main .waiting a.one")];
  if (ones.length > 0) {
    const at = ones.findIndex((one) => one.getAttribute("aria-current"));
    const next = ones[Math.min(Math.max(at + step, 0), ones.length - 1)];
    next.focus();
    next.click();
    return;
  }
  const rows = [...document.querySelectorAll("main table.list tbody tr")].filter((row) => row.querySelector("a"));
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1)];
  next.querySelector("a").focus();
  next.scrollIntoView({ block: "nearest" });
}

/** To the page's own search; a page without one leads to that of the runs. */
async function search() {
  if (!document.getElementById("search")) await go("/runs");
  document.getElementById("search")?.focus();
}

let after;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !house.session || document.querySelector("dialog[open]")) return;
  // Nobody types into a tick.
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  if (after === "g") {
    after = undefined;
    const page = PAGES.find((it) => it.key === event.key && (!it.audit || house.session.may_audit));
    if (page) {
      event.preventDefault();
      go(page.menu);
    }
    return;
  }
  const does = {
    g: () => { after = "g"; setTimeout(() => { after = undefined; }, 1200); },
    j: () => walk(1),
    k: () => walk(-1),
    s: () => stop(),
    "/": search,
    "?": help,
    // What stands on the page brings its own keys, so they are never those of another.
    ...document.querySelector("main .item")?.acts,
  }[event.key];
  if (does) {
    event.preventDefault();
    does();
  }
});

// ---- Beginning --------------------------------------------------------------------------------------------

let endLive;

/** With a session: who it is, what is halted, and then whatever comes. */
async function enter() {
  const [session, halted, inboxNow] = await Promise.all([get("/v1/session"), get("/v1/halts"), get("/v1/inbox?mine=true")]);
  Object.assign(house, { session, halts: halted.items, waiting: inboxNow.mine });
  endLive ??= listen(({ event }) => {
    if (event.kind === "answered" || (event.kind === "call_decided" && (event.body.ruling === "ask" || event.body.ends_ask))) recount();
    if (event.kind !== "halted" && event.kind !== "resumed") return;
    say(`${event.kind === "halted" ? "Halted" : "Resumed"}: ${plain(event.body.scope)}`);
    halts().catch(() => {});
  });
}

let counting;

/** How many wait for this person; asked once for many events. */
function recount() {
  counting ??= setTimeout(async () => {
    counting = undefined;
    const now = await get("/v1/inbox?mine=true").catch(() => undefined);
    if (!now || !house.session) return;
    if (now.mine > house.waiting) say(`${several(now.mine, "call")} ${now.mine === 1 ? "waits" : "wait"} for you`);
    house.waiting = now.mine;
    const badge = document.getElementById("waiting");
    if (!badge) return;
    badge.hidden = now.mine === 0;
    badge.firstChild.textContent = count(now.mine);
  }, 300);
}

watch((state) => document.documentElement.setAttribute("data-live", state));

if (location.pathname !== "/login" || !location.hash) {
  try {
    await enter();
  } catch (error) {
    if (error.status !== 401) {
      put(document.getElementById("main"), head("Remit"), trouble(error));
      throw error;
    }
  }
}
await render();
