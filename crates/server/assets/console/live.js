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
