// The public API of this listener, and nothing else.

const CSRF = "remit-csrf";

/** What the API refused, in its own words. */
export class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail ?? `status ${status}`);
    this.problem = problem;
    this.status = status;
  }
}

async function ask(method, path, body, options = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  const csrf = localStorage.getItem(CSRF);
  if (method !== "GET" && csrf) headers["remit-csrf"] = csrf;
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, signal: options.signal, credentials: "same-origin", cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused({ detail: "Remit does not answer", remedy: "see whether it runs: `remit status`" }, 0);
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(told, answer.status);
  if (told.receipt) written = { index: told.receipt.index, at: Date.now() };
  return told;
}

export const get = (path, options) => ask("GET", path, undefined, options);
export const post = (path, body) => ask("POST", path, body ?? {});
export const remove = (path) => ask("DELETE", path);

// Lists are a moment behind the ledger; whoever has just done something waits for what they did.
let written = { index: undefined, at: 0 };
const REMEMBERED_MS = 5000;

/** Of a run, a call or a list of them: with all that was done here. */
export function fresh(path, query = {}) {
  const after = Date.now() - written.at < REMEMBERED_MS ? written.index : undefined;
  return get(url(path, { ...query, after }));
}

/** A path with what is set of a query. */
export function url(path, query = {}) {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(set).toString();
  return text ? `${path}?${text}` : path;
}

export const part = encodeURIComponent;

export async function signIn(login) {
  const session = await post("/v1/session", { code: login });
  localStorage.setItem(CSRF, session.csrf);
  return session;
}

export async function signOut() {
  await remove("/v1/session");
  localStorage.removeItem(CSRF);
}
