// Rules: who can do a thing, what the rules say to a call, and their text.

import { get, part, post, url } from "./api.js";
import { code, count, digest, h, plain, put, say, several, words } from "./dom.js";
import { change } from "./change.js";
import { follow } from "./live.js";
import { card, empty, facts, head, input, link, pill, rule, table, trouble } from "./parts.js";

export async function show(house) {
  const query = house.query();
  const [policy, agents, tools, files] = await Promise.all([get("/v1/policy"), get("/v1/agents"), get("/v1/tools"),
    get("/v1/policy/files").catch(() => ({ items: [] }))]);
  follow(house, (event) => event.kind === "rules_activated");
  return [
    head("Rules", "/v1/policy"),
    facts([["Version", digest(policy.digest)], ["Rules", count(policy.rules)], ["Agents", count(agents.items.length)], ["Tools", count(tools.items.length)]]),
    policy.warnings.length > 0 && card("Odd about them", h("ul", null, policy.warnings.map((it) => h("li", null, words(it.says), " ", code(`${it.file}:${it.line}`))))),
    h("div", { class: "columns" }, await whoCan(house, query, tools.items), tryCall(agents.items, tools.items)),
    files.items.length > 0 && change(files.items),
    text(policy.cedar),
  ];
}

// ---- Who can ----------------------------------------------------------------------------------------------

async function whoCan(house, query, tools) {
  const target = query.get("target") ?? "";
  const args = query.get("args") ?? "";
  const field = input({ name: "target", type: "search", value: target, required: true, placeholder: "desk.refund_charge, crm.*, irreversible, to:*@example.com" });
  field.id = "search";
  field.setAttribute("list", "targets");
  const form = h("form", { role: "search", onsubmit: (event) => {
    event.preventDefault();
    house.ask(Object.fromEntries(new FormData(event.target)));
  } },
  h("label", { class: "field" }, h("span", null, "What: a tool, a pattern, an effect, or a destination"), field),
  h("datalist", { id: "targets" }, ["irreversible", "reversible", "read", "write", ...tools.map((it) => it.tool)].map((it) => h("option", { value: it }))),
  h("label", { class: "field" }, h("span", null, "With these arguments, as JSON (may be left out)"), input({ name: "args", value: args, placeholder: '{"amount_cents": 9000}' })),
  h("button", { type: "submit", class: "primary" }, "Who can?"));
  const answer = h("div", { id: "who-can", "aria-live": "polite" });
  if (target) {
    try {
      const path = url("/v1/who-can", { target, args });
      put(answer, found(await get(path), path));
    } catch (error) {
      put(answer, trouble(error));
    }
  }
  return card("Who can do a thing", form, answer);
}

function found(list, path) {
  if (list.items.length === 0) return empty("Nobody.", "No rule permits that to any agent.");
  return [
    h("p", null, several(list.total, "way"), list.total > list.items.length ? `; the first ${list.items.length} are shown` : "", ". ", h("a", { href: path, target: "_blank" }, "JSON")),
    table("Who can", [
      ["Agent", (it) => words(it.agent)],
      ["Tool", (it) => words(it.tool)],
      ["Only if", (it) => (it.only_if.length > 0 ? h("ul", { class: "plain" }, it.only_if.map((one) => h("li", null, code(one)))) : h("span", { class: "muted" }, "always"))],
      ["Rule", (it) => [rule(it.rule), it.needs_approval ? [" ", pill(`asks ${it.needs_approval}`, "unknown")] : null, it.by_free_permit ? [" ", pill("free permit", "unknown")] : null], "wide"],
    ], list.items, (it) => `/agents/${part(it.agent)}`),
  ];
}

// ---- Try a call -------------------------------------------------------------------------------------------

function tryCall(agents, tools) {
  const answer = h("div", { id: "tried", "aria-live": "polite" });
  const tool = input({ name: "tool", options: tools.map((it) => [it.tool, it.tool]) });
  const args = input({ name: "args", rows: 5 });
  // What the tool wants, with blanks, for as long as nobody has written anything else.
  let offered;
  const offer = async () => {
    const shown = await get(`/v1/tools/${part(tool.value)}`).catch(() => undefined);
    if (args.value && args.value !== offered) return;
    offered = JSON.stringify(blank(shown?.contract?.input), null, 2);
    args.value = offered;
  };
  tool.addEventListener("change", offer);
  if (tools.length > 0) offer();
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    const told = Object.fromEntries(new FormData(event.target));
    let args;
    try {
      args = JSON.parse(told.args || "{}");
    } catch (error) {
      return put(answer, trouble({ problem: { title: "The arguments are not JSON", detail: error.message } }));
    }
    try {
      const said = await post("/v1/policy/explain", { agent: told.agent, tool: told.tool, args });
      put(answer, tried(said));
      say(`The rules say ${said.decision}`);
    } catch (error) {
      put(answer, trouble(error));
    }
  } },
  h("label", { class: "field" }, h("span", null, "Agent"), input({ name: "agent", options: agents.map((it) => [it.agent, it.agent]) })),
  h("label", { class: "field" }, h("span", null, "Tool"), tool),
  h("label", { class: "field" }, h("span", null, "Arguments, as JSON"), args),
  h("button", { type: "submit", class: "primary" }, "Try it"));
  return card("Try a call", h("p", { class: "muted" }, "What the rules alone would say: no run, no budget, no halt. Nothing is recorded and nothing happens."),
    agents.length > 0 && tools.length > 0 ? form : empty("There is nothing to try.", "It takes an ", link("/agents", "agent"), " and a ", link("/tools", "tool"), "."), answer);
}

/** The smallest thing that a JSON Schema might take. */
function blank(schema) {
  if (schema?.enum) return schema.enum[0];
  switch ([schema?.type].flat()[0]) {
    case "integer": case "number": return schema.minimum ?? 0;
    case "boolean": return false;
    case "string": return "";
    case "array": return [];
    default: return Object.fromEntries((schema?.required ?? []).map((name) => [name, blank(schema.properties?.[name])]));
  }
}

function tried(said) {
  const list = (title, rules) => rules.length > 0 && [h("p", { class: "muted" }, title), h("ul", null, rules.map((it) => h("li", null, rule(it))))];
  return h("div", { class: "answer" },
    h("p", null, pill(said.decision), said.ask.length > 0 ? [" with the yes of ", words(said.ask.join(", "))] : null),
    list(said.decision === "deny" ? "Forbidden by" : "By", said.rules), list("It would be allowed by these, were their conditions met", said.near),
    said.errors.length > 0 && [h("p", { class: "bad" }, "Rules that erred, which denies"), h("ul", null, said.errors.map((it) => h("li", null, rule(it.rule), ": ", words(it.error))))]);
}

// ---- Text -------------------------------------------------------------------------------------------------

function text(cedar) {
  const lines = cedar.split("\n");
  const body = h("pre", { class: "cedar", tabindex: "0", "aria-label": "The rules as Cedar" });
  const matches = h("span", { class: "muted", role: "status" });
  const draw = (wanted) => {
    const words = wanted.trim().toLowerCase();
    const shown = lines.map((line, at) => [line, at + 1]).filter(([line]) => !words || line.toLowerCase().includes(words));
    put(body, shown.map(([line, number]) => [h("span", { class: "line-number", "aria-hidden": "true" }, number), `${plain(line)}\n`]));
    put(matches, words ? several(shown.length, "line") : "");
  };
  draw("");
  return card("As they are in force", h("p", { class: "filters" },
    h("input", { type: "search", "aria-label": "Only lines with", placeholder: "Only lines with…", oninput: (event) => draw(event.target.value) }), matches), body);
}
