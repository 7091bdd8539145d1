// The ledger's events as they come: one stream for the whole console, for as long as a page listens.

const listeners = new Set();
let stream;
let state = "off";
const watchers = new Set();

/** Hears each event, `{ index, event }`, in order. Returns what ends it. */
export function listen(hear) {
  listeners.add(hear);
  open();
  return () => {
    listeners.delete(hear);
    if (listeners.size === 0) close();
  };
}

/** Is told `live`, `lost` or `off` whenever that changes. */
export function watch(tell) {
  watchers.add(tell);
  tell(state);
  return () => watchers.delete(tell);
}

/** How long a person is left alone who writes, marks text or answers a question. */
const PATIENCE_MS = 1500;

/**
 * Draws a page anew once something happens that concerns it: not more often than `every`, and never under somebody
 * who writes on it, has marked a part of it, or is asked something. `concerns(event)`.
 */
export function follow(house, concerns, every = 1000) {
  let due;
  const busy = () => document.querySelector("dialog[open]") || document.hidden || String(getSelection())
    || document.activeElement?.matches("main :is(input, textarea, select)");
  const again = (wait) => {
    due = setTimeout(() => {
      due = undefined;
      if (busy()) again(PATIENCE_MS);
      else house.reload();
    }, wait);
  };
  house.leave.push(listen(({ event }) => { if (!due && concerns(event)) again(every); }), () => clearTimeout(due));
}

function become(next) {
  if (next === state) return;
  state = next;
  for (const tell of watchers) tell(state);
}

function open() {
  if (stream) return;
  // The browser comes back by itself and names the last event that it saw, so nothing is missed in between.
  stream = new EventSource("/v1/tail");
  stream.onopen = () => become("live");
  stream.onerror = () => become("lost");
  stream.onmessage = (message) => {
    const event = JSON.parse(message.data);
    for (const hear of listeners) hear(event);
  };
}

function close() {
  stream?.close();
  stream = undefined;
  become("off");
}

addEventListener("pagehide", close);
addEventListener("pageshow", () => { if (listeners.size > 0) open(); });
