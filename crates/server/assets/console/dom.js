// Elements and words. Text is only ever set as text: nothing here, or anywhere in the console, parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes, `on…` functions, `dataset`, and `style` as an object. Children: nodes, text, lists. */
export function h(name, props, ...children) {
  return fill(document.createElement(name), props, children);
}

export function svg(name, props, ...children) {
  return fill(document.createElementNS(SVG, name), props, children);
}

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, it] of Object.entries(value)) element.style.setProperty(name, it);
    else if (key === "dataset") Object.assign(element.dataset, value);
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Puts these children in the place of all there were. */
export function put(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

// What bends or hides text: shown by its number, so that nobody reads what is not there.
// eslint-disable-next-line no-control-regex
const BENDS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udfff]/g;

/** Text that others chose, with what is invisible made visible. Line breaks and tabs stay. */
export function plain(text) {
  return String(text ?? "").replace(BENDS, (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);
}

/** Words that an agent, a tool or a person wrote: set apart from ours, and unable to turn what stands around them. */
export function words(text, props) {
  return h("bdi", props, plain(text));
}

export function code(text, props) {
  return h("code", props, plain(text));
}

export function json(value) {
  return h("pre", { class: "json", tabindex: "0" }, plain(JSON.stringify(value, null, 2)));
}

// ---- Numbers, times, names --------------------------------------------------------------------------------

const COUNT = new Intl.NumberFormat("en");

export function count(number) {
  return COUNT.format(number ?? 0);
}

/** `3 calls`, `1 call` */
export function several(number, one) {
  return `${count(number)} ${one}${number === 1 ? "" : "s"}`;
}

export function usd(nanos) {
  if (!nanos) return "–";
  const text = (nanos / 1e9).toFixed(nanos < 1e7 ? 6 : 2);
  return `$${text}`;
}

export function millis(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1000) return `${ms} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

function ago(then) {
  const seconds = Math.round((Date.now() - then) / 1000);
  if (seconds < 0) return `in ${span(-seconds)}`;
  return seconds < 5 ? "just now" : `${span(seconds)} ago`;
}

function span(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A moment, as how long ago it was; the exact one on asking. */
export function moment(at) {
  if (!at && at !== 0) return h("span", null, "–");
  const then = new Date(at);
  const exact = Number.isNaN(then.getTime()) ? String(at) : then.toISOString();
  return h("time", { datetime: exact, title: exact }, ago(then.getTime()));
}

export function clock(at) {
  const then = new Date(at);
  return h("time", { datetime: then.toISOString(), title: then.toISOString() }, then.toISOString().slice(11, 19));
}

export function exact(at) {
  const then = new Date(at);
  return h("time", { datetime: then.toISOString() }, then.toISOString().replace("T", " ").replace("Z", " UTC"));
}

/** The end of an id tells it apart; the beginning is the time. */
export function short(id) {
  const [kind, rest] = String(id).split("_");
  return rest ? `${kind}_…${rest.slice(-8)}` : String(id).slice(0, 19);
}

export function digest(text) {
  return h("code", { title: text }, String(text ?? "").replace("sha256:", "").slice(0, 12));
}

/** Says something to those who listen to the page rather than look at it. */
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = "";
  setTimeout(() => { place.textContent = plain(text); }, 30);
}
