// What several pages are made of: verdicts, reasons, lists, questions to the person.

import { code, h, json, plain, put, say, words } from "./dom.js";

/** Lets links of the console work without loading the page anew; `app.js` takes them. */
export function link(path, ...children) {
  return h("a", { href: path }, children);
}

// ---- Verdicts ---------------------------------------------------------------------------------------------

const GLYPHS = { allow: "✓", deny: "✕", ask: "?", succeeded: "✓", failed: "!", unknown: "?", not_dispatched: "–" };

/** A word with a colour; the word alone says it too. */
export function pill(word, kind) {
  const glyph = GLYPHS[word];
  return h("span", { class: `pill ${kind ?? word}` }, glyph && h("span", { "aria-hidden": "true" }, `${glyph} `), plain(word).replaceAll("_", " "));
}

export function rule(it) {
  const place = it.file ? `${it.file}:${it.line}` : "";
  return h("span", { class: "rule" }, code(it.id), " ", words(it.words), place && h("span", { class: "muted" }, ` ${plain(place)}`));
}

export function reason(it) {
  return h("div", { class: "reason" },
    h("p", null, words(it.says), " ", h("span", { class: "muted" }, code(it.code), it.at ? [" at ", code(it.at)] : null)),
    it.remedy && h("p", { class: "remedy" }, h("strong", null, "What would help: "), words(it.remedy)),
    it.rule && h("p", null, rule(it.rule)));
}

/** Why a verdict is what it is. */
export function verdict(it) {
  return h("div", { class: "verdict" },
    (it.reasons ?? []).map(reason),
    (it.rules ?? []).length > 0 && h("div", null, h("p", { class: "muted" }, "Allowed by"), h("ul", null, it.rules.map((one) => h("li", null, rule(one))))),
    (it.would ?? []).length > 0 && h("div", null, h("p", { class: "muted" }, "Only observed; enforced, it would be refused"), it.would.map(reason)));
}

// ---- Lists ------------------------------------------------------------------------------------------------

/**
 * A table whose rows open on Enter and are walked with j and k. `columns`: [title, cell(row), class];
 * `open(row)`: the path that a row leads to; its first cell is the link.
 */
export function table(caption, columns, rows, open) {
  const line = (row) => {
    const path = open?.(row);
    const cells = columns.map(([title, cell, kind], number) => {
      const content = cell(row);
      const inside = number === 0 && path ? link(path, content) : content;
      return h("td", { class: kind, "data-title": title }, inside);
    });
    return h("tr", { class: path ? "opens" : undefined, onclick: path && ((event) => {
      if (!event.target.closest("a, button, summary, input") && !String(getSelection())) event.currentTarget.querySelector("a").click();
    }) }, cells);
  };
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: "list" },
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", null, h("tr", null, columns.map(([title, , kind]) => h("th", { scope: "col", class: kind }, title)))),
      h("tbody", null, rows.map(line))));
}

/** Nothing is there: what to do next. */
export function empty(title, ...next) {
  return h("div", { class: "empty" }, h("p", null, h("strong", null, title)), h("p", null, next));
}

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== false && value !== "");
  return h("dl", { class: "facts" }, shown.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

export function card(title, ...children) {
  return h("section", { class: "card" }, title && h("h2", null, title), children);
}

/** A page's head: what it is, what can be done, and the JSON that it shows. */
export function head(title, jsonPath, ...actions) {
  return h("div", { class: "head" }, h("h1", { tabindex: "-1" }, title),
    h("div", { class: "actions" }, actions, jsonPath && h("a", { class: "button quiet", href: jsonPath, target: "_blank", rel: "noreferrer" }, "JSON")));
}

export function folded(title, value) {
  return h("details", { "data-key": title }, h("summary", null, title), value instanceof Node ? value : json(value));
}

export function diff(lines) {
  const kind = (line) => (line.startsWith("+") ? "came" : line.startsWith("-") ? "went" : "same");
  return h("pre", { class: "diff", tabindex: "0", "aria-label": "What changed: lines with - went, lines with + came" },
    lines.map((line) => h("span", { class: kind(line) }, `${plain(line)}\n`)));
}

export function trouble(error) {
  const problem = error.problem ?? {};
  return h("div", { class: "trouble", role: "alert" },
    h("p", null, h("strong", null, plain(problem.title ?? "That did not work")), ": ", words(problem.detail ?? error.message)),
    problem.remedy && h("p", null, words(problem.remedy)));
}

// ---- Questions to the person ------------------------------------------------------------------------------

/**
 * Asks before a deed, and does it. `fields`: [{ name, label, value, required, options, hint }]. What Remit refuses is
 * said in the dialog, which then stays. Resolves to the answer, or to nothing if the person went back.
 */
export function question({ title, says, fields = [], deed, danger = false, act }) {
  return new Promise((done) => {
    const told = h("div");
    const inputs = fields.map((field) => [field, input(field)]);
    const go = h("button", { type: "submit", class: danger ? "danger" : "primary" }, deed);
    const form = h("form", { method: "dialog" },
      h("h2", { id: "question" }, title), says && h("div", { class: "says" }, says),
      inputs.map(([field, control]) => h("label", { class: "field" }, h("span", null, field.label), control,
        field.hint && h("small", { class: "muted" }, field.hint))),
      told,
      h("div", { class: "actions" }, h("button", { type: "button", value: "back", onclick: () => dialog.close() }, "Back"), go));
    const dialog = h("dialog", { "aria-labelledby": "question" }, form);
    let answer;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        answer = await act(Object.fromEntries(inputs.map(([field, control]) => [field.name, control.value.trim()])));
        if (answer === undefined) answer = true;
        dialog.close();
        say(`${title}: done`);
      } catch (error) {
        put(told, trouble(error));
        go.disabled = false;
      }
    });
    dialog.addEventListener("close", () => { dialog.remove(); done(answer); });
    document.body.append(dialog);
    dialog.showModal();
    // What must be written is written first; what has a good beginning can be changed.
    (inputs.find(([field]) => field.required && !field.value)?.[1] ?? inputs[0]?.[1] ?? go).focus();
  });
}

export function input(field) {
  const shared = { name: field.name, required: field.required, "aria-label": field.aria };
  if (field.options) {
    const options = field.options.map(([value, text]) => h("option", { value, selected: value === field.value }, plain(text)));
    return h("select", shared, options);
  }
  if (field.rows) return h("textarea", { ...shared, rows: field.rows, spellcheck: "false", value: field.value ?? "" });
  return h("input", { ...shared, type: field.type ?? "text", value: field.value ?? "", placeholder: field.placeholder,
    autocomplete: "off", spellcheck: "false" });
}

/** Offers bytes as a file, without asking anybody for them again. */
export function save(name, value) {
  const place = URL.createObjectURL(new Blob([JSON.stringify(value, null, 2)], { type: "application/json" }));
  const anchor = h("a", { href: place, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(place), 10_000);
}
