// Agents: what their manifests say, what the rules make of it, their keys, and halting one.

import { get, part, post, remove, url } from "./api.js";
import { code, count, h, moment, plain, usd, words } from "./dom.js";
import { follow } from "./live.js";
import { balances } from "./spend.js";
import { card, empty, facts, folded, head, pill, question, rule, table } from "./parts.js";

const NEWS = ["halted", "resumed", "key_minted", "key_revoked", "rules_activated"];

export async function show(house) {
  const { items } = await get("/v1/agents");
  follow(house, (event) => NEWS.includes(event.kind));
  return [
    head("Agents", "/v1/agents"),
    items.length === 0
      ? empty("No agent has a manifest.", "Write ", code("agents/NAME.yaml"), " beside ", code("remit.yaml"), "; a running Remit takes it up by itself.")
      : table("Agents", COLUMNS, items, (agent) => `/agents/${part(agent.agent)}`),
  ];
}

const COLUMNS = [
  ["Agent", (agent) => words(agent.agent)],
  ["Owner", (agent) => words(agent.owner)],
  ["Purpose", (agent) => words(agent.purpose || "–", { class: "cut" }), "wide"],
  ["Mode", (agent) => pill(agent.mode, agent.mode === "enforce" ? "plain" : "unknown")],
  ["Env", (agent) => words(agent.env)],
  ["Keys", (agent) => count(agent.keys), "amount"],
  ["State", (agent) => (agent.halted ? pill("halted", "deny") : pill("at work", "allow"))],
];

export async function showOne(house, name) {
  const path = `/v1/agents/${part(name)}`;
  const [agent, accounts, spent, open] = await Promise.all([get(path), get(url("/v1/budget", { agent: name })).catch(() => ({ items: [] })),
    get("/v1/spend?by=agent&within=30d"), get(url("/v1/runs", { agent: name, open: true, limit: 10 }))]);
  follow(house, (event) => NEWS.includes(event.kind) || event.body?.agent === name, 5000);
  const { manifest } = agent;
  const scope = `agent:${name}`;
  const may = house.session.may_operate;
  return [
    head(words(agent.agent), path,
      h("a", { class: "button", href: url("/runs", { agent: name }) }, "Its runs"),
      (may || agent.owner === house.session.person) && (house.halted(scope)
        ? h("button", { type: "button", id: "halt-agent", onclick: () => house.resume(scope) }, "Resume agent")
        : h("button", { type: "button", class: "danger", id: "halt-agent", onclick: () => house.stop(scope) }, "Halt agent"))),
    h("p", { class: "intent" }, words(agent.purpose || "No purpose is stated.")),
    facts([
      ["Owner", words(agent.owner)], ["State", agent.halted ? pill("halted", "deny") : pill("at work", "allow")],
      ["Mode", agent.mode], ["Environment", words(agent.env)],
      ["Crosses to", manifest.crosses?.length > 0 && words(manifest.crosses.join(", "))],
      ["Groups", manifest.groups?.length > 0 && words(manifest.groups.join(", "))],
      ["Phases", manifest.phases ? "on" : "off"], ["Carries out", agent.executor ? "its calls itself" : "nothing itself"],
      ["Written in", code(`${manifest.origin?.file}:${manifest.origin?.line}`)],
    ]),
    card("One run may spend", budget(manifest.per_run)),
    accounts.items.length > 0 && card("Its accounts", balances(accounts.items)),
    card("What it cost in thirty days", cost(spent.items.find((line) => line.of === name)?.now, open, name)),
    card("What the rules let it do", agent.can.length === 0
      ? empty("Nothing.", "No rule permits it anything. Add lines under ", code("may:"), " in its manifest.")
      : table("What the rules let it do", [
        ["Tool", (can) => words(can.tool)],
        ["Only if", (can) => (can.only_if.length > 0 ? h("ul", { class: "plain" }, can.only_if.map((it) => h("li", null, code(it)))) : h("span", { class: "muted" }, "always"))],
        ["Approval", (can) => (can.needs_approval ? words(can.needs_approval) : h("span", { class: "muted" }, "–"))],
        ["Rule", (can) => rule(can.rule), "wide"],
      ], agent.can, (can) => `/tools/${part(can.tool)}`)),
    card("Keys", keys(house, name, agent.keys_valid, may)),
    folded("The whole manifest", manifest),
  ];
}

function cost(line, open, name) {
  return [
    line ? facts([["Runs", count(line.runs)], ["Succeeded", `${line.completion_percent} %`], ["Cost", usd(line.cost_usd_nanos)],
      ["For each success", usd(line.cost_per_success_usd_nanos)], ["People stepped in", count(line.interventions)]])
      : h("p", { class: "muted" }, "No run of it has ended in this time."),
    h("p", null, open.items.length === 0 ? h("span", { class: "muted" }, "No run of it is open.")
      : h("a", { href: url("/runs", { agent: name, open: true }) }, open.next ? "More than 10 runs are open" : `${open.items.length === 1 ? "1 run is" : `${count(open.items.length)} runs are`} open`)),
  ];
}

function budget(limits) {
  const set = Object.entries(limits ?? {}).filter(([, value]) => value !== null && typeof value !== "object");
  if (set.length === 0) return h("p", { class: "muted" }, "No limit of its own; those of the house hold.");
  return facts(set.map(([name, value]) => (name.endsWith("usd_nanos") ? ["usd", usd(value)] : [plain(name.replaceAll("_", " ")), count(value)])));
}

function keys(house, agent, items, may) {
  const mint = () => question({
    title: "Mint a key", deed: "Mint",
    says: h("p", null, "For ", words(agent), ". It is shown once; Remit keeps only its hash."),
    fields: [{ name: "days", label: "Good for, in days", type: "number", value: "90", required: true }],
    act: async (told) => {
      const minted = await post(`/v1/agents/${part(agent)}/keys`, { ttl_seconds: Math.round(Number(told.days) * 86_400) });
      return minted;
    },
  }).then((minted) => minted && question({
    title: "The key, once", deed: "I have it", act: () => true,
    says: [h("pre", { class: "secret", tabindex: "0" }, minted.secret), h("p", null, "Good until ", moment(minted.expires), ". It is not shown again.")],
  }).then(() => house.reload()));
  const revoke = (key) => question({
    title: "Revoke the key", deed: "Revoke", danger: true, says: h("p", null, code(key)),
    fields: [{ name: "why", label: "Why", required: true, hint: "Stands in the ledger." }],
    act: (told) => remove(url(`/v1/keys/${part(key)}`, { why: told.why })),
  }).then((done) => done && house.reload());
  return [
    items.length === 0
      ? h("p", { class: "muted" }, "No key is valid: this agent cannot ask for anything.")
      : h("ul", { class: "plain rows" }, items.map((key) => h("li", null, code(key.key), h("span", { class: "muted" }, "until ", moment(key.expires)),
        may && h("button", { type: "button", onclick: () => revoke(key.key) }, "Revoke")))),
    may && h("button", { type: "button", id: "mint", onclick: mint }, "Mint a key"),
  ];
}

