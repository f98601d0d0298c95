// Requests to the API, with the key that this tab holds.  The key goes into one header and nowhere
// else: not into a URL, not into storage that outlives the tab.

const ROOT = new URL("..", import.meta.url).href.replace(/\/$/, "");
const KEY = "kiln.key";
const WORKSPACE = "kiln.workspace";

export const session = {
  get key() { return sessionStorage.getItem(KEY); },
  set key(value) { sessionStorage.setItem(KEY, value); },
  get workspace() { return sessionStorage.getItem(WORKSPACE); },
  set workspace(value) { sessionStorage.setItem(WORKSPACE, value); },
  forget() {
    sessionStorage.removeItem(KEY);
    sessionStorage.removeItem(WORKSPACE);
  },
};

// What the API refused: its status, and its sentence as the message.
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Nobody answered, or not to the end.
class Unreachable extends Error {
  constructor() {
    super("Kiln does not answer.");
  }
}

async function reached(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Unreachable();
  }
}

// Where the API is, for commands to be typed.
export function apiUrl() {
  return `${ROOT}/v0`;
}

// How the server's clock differs from this one, in ms, to the second.
let skew = 0;

export function now() {
  return Date.now() + skew;
}

async function refusalOf(response) {
  let message = `Kiln answered with HTTP ${response.status}.`;
  try {
    message = (await response.json()).message ?? message;
  } catch { /* a proxy's page, perhaps */ }
  return new Refusal(response.status, message);
}

// path: "/v0/builds".  A Refusal for every status but 2xx.
async function ask(path, signal, key = session.key, workspace = session.workspace) {
  const headers = { "Authorization": `Bearer ${key}`, "Blaxel-Version": "2026-04-28" };
  if (workspace) headers["X-Blaxel-Workspace"] = workspace;
  const response = await reached(
    fetch(ROOT + path, { headers, signal, credentials: "omit", cache: "no-store" }));
  const date = Date.parse(response.headers.get("Date"));
  if (date && Math.abs(date + 500 - Date.now() - skew) > 1500) skew = date + 500 - Date.now();
  if (!response.ok) throw await refusalOf(response);
  return response;
}

export async function get(path, signal) {
  const response = await ask(path, signal);
  return reached(response.json());
}

// The names of the workspaces that a key opens.
export async function workspacesOf(key) {
  const list = await (await ask("/v0/workspaces", undefined, key, "")).json();
  return list.map((workspace) => workspace.name);
}

// The events of a build's log after the one with that seq, in batches as they come in: `each` is
// called with arrays, empty ones where the server only says that it is there.  With follow the
// answer goes on until the build is over.
export async function readLog(url, after, each, signal, follow = false) {
  const response = await ask(`${url}&format=jsonl&after=${after}${follow ? "&follow=true" : ""}`, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  if (follow) each([]);
  for (;;) {
    const { done, value } = await reached(reader.read());
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    const events = lines.filter((line) => line !== "").map((line) => JSON.parse(line));
    const told = events.filter((event) => !event.heartbeat);
    if (told.length || events.length) each(told);
    if (done) return;
  }
}

const SILENCE = 25000; // ms; a server that is there says so every 15 s

// Follows the log, as long as that works: `heard` says that it does, `over` is called when it does
// no more, be it that the build is over, that the server has too many who follow, or that something
// between here and there keeps the answer back.
export function followLog(url, after, each, over, signal) {
  const own = new AbortController();
  const stop = () => own.abort();
  const follower = { heard: false, stop };
  let timer = setTimeout(stop, SILENCE);
  signal.addEventListener("abort", stop, { once: true });
  readLog(url, after, (events) => {
    follower.heard = true;
    clearTimeout(timer);
    timer = setTimeout(stop, SILENCE);
    if (events.length && !own.signal.aborted) each(events);
  }, own.signal, true).catch(() => {}).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    over();
  });
  return follower;
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

// Until the tab is looked at.
function untilSeen(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true, signal });
    signal.addEventListener("abort", resolve, { once: true });
  });
}

// Calls step again and again, until it returns 0: it says after how many ms it wants to be called
// next.  When nobody answers it is tried again, ever slower; `failed` is told why, and null when it
// went well.  A Refusal ends it, but 429 and 5xx.
export async function poll(step, failed, signal) {
  let wait = 1000;
  while (!signal.aborted) {
    let next;
    try {
      next = await step(signal);
      wait = 1000;
      failed(null);
    } catch (error) {
      if (signal.aborted) return;
      failed(error);
      if (!(error instanceof Unreachable || error.status === 429 || error.status >= 500)) return;
      next = wait;
      wait = Math.min(wait * 2, 10000);
    }
    if (!next) return;
    await pause(next, signal);
    await untilSeen(signal);
  }
}
