/** Requests to the API and what they answer, as hooks, and the one stream of this tab. */
import { useEffect, useState } from "./preact.js";
import { connection, jobUpdates, nodeNow, now, session, skew, useCell } from "./state.js";
import { address } from "./text.js";

/** An answer that is not a success, or none at all (`status` 0). */
const apiError = (status, message, retryAfter = null) => Object.assign(new Error(message), { status, retryAfter });

export const get = (path, parameters, signal) => call("GET", address(path, parameters), undefined, signal);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

export async function getBytes(path, parameters) {
  const answer = await answerOf(address(path, parameters), {});
  return new Uint8Array(await answer.arrayBuffer());
}

async function call(method, path, body, signal) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const content = body === undefined ? undefined : JSON.stringify(body);
  const answer = await answerOf(path, { method, headers, body: content, signal });
  return answer.status === 204 ? null : answer.json();
}

async function answerOf(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw apiError(0, "the admin process does not answer: is the collector running?");
  }
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

/** The error that an answer carries. A 401 brings the log-in form, except to the form itself. */
async function errorOf(answer) {
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 401 && body.code !== "wrong_token") session.set({ ...session.get(), needs_token: true });
  const message = body.message ?? `the admin process answered ${answer.status}`;
  return apiError(answer.status, message, Number(answer.headers.get("retry-after")) || null);
}

const NOTHING = { data: null, error: null };

/** GET a path: `{data, readAt, error, isLoading, reload}`. While another path loads, `data` is null; while it reloads, the old one. */
export function useApi(path, parameters = {}) {
  const url = path && address(path, parameters);
  const [state, set] = useState(NOTHING);
  const [turn, reload] = useState(0);
  useEffect(() => {
    if (!url) return undefined;
    const abort = new AbortController();
    get(url, {}, abort.signal).then(
      (data) => set({ url, data, error: null, readAt: nodeNow() }),
      (error) => error.name !== "AbortError" && set((old) => ({ ...(old.url === url ? old : NOTHING), url, error })),
    );
    return () => abort.abort();
  }, [url, turn]);
  const isCurrent = state.url === url;
  return {
    ...(isCurrent ? state : NOTHING),
    isLoading: Boolean(url) && !isCurrent,
    reload: () => reload((last) => last + 1),
  };
}

/** The same, read again when the stream is greeted again: the admin process may know more, or be another one. */
export function useGreeted(path, parameters) {
  const { hellos } = useCell(connection);
  const found = useApi(path, parameters);
  useEffect(() => void (hellos > 1 && found.reload()), [hellos]);
  return found;
}

/** An action: `{run, data, error, isBusy, clear}`. */
export function useAction(act) {
  const idle = { data: null, error: null, isBusy: false };
  const [state, set] = useState(idle);
  async function run(...parameters) {
    set({ ...idle, isBusy: true });
    try {
      const data = await act(...parameters);
      set({ ...idle, data });
    } catch (error) {
      set({ ...idle, error });
    }
  }
  return { ...state, run, clear: () => set(idle) };
}

/** A series with one more sample: in its newest step a mean, and a new step once that is over. Pure. */
export function extended(series, sampleMs, sample) {
  const { step_s, first_ms, values, samples = 1 } = series;
  const length = Object.values(values)[0]?.length ?? 0;
  const ahead = Math.floor((sampleMs - first_ms) / (step_s * 1000)) - (length - 1);
  if (ahead < 0 || length === 0) return series;
  const isSame = ahead === 0;
  const added = ([name, list]) => [name, isSame ? withMean(list, sample[name], samples) : moved(list, sample[name], ahead)];
  return {
    step_s,
    first_ms: first_ms + ahead * step_s * 1000,
    values: Object.fromEntries(Object.entries(values).map(added)),
    samples: isSame ? samples + 1 : 1,
  };
}

function withMean(list, value, samples) {
  const old = list.at(-1);
  if (value == null) return list;
  return list.with(-1, old == null ? value : (old * samples + value) / (samples + 1));
}

const moved = (list, value, ahead) =>
  [...list, ...Array(Math.min(ahead, list.length) - 1).fill(null), value ?? null].slice(-list.length);

/** `{series, error}` of these names over so many seconds, kept up to date. */
export function useSeries(names, seconds) {
  const { data, error } = useGreeted("/api/series", { names: names.join(","), seconds });
  const [series, set] = useState(null);
  useEffect(() => set(data), [data]);
  useEffect(() => now.watch(({ now_ms, values }) => set((old) => old && extended(old, now_ms, values))), []);
  return { series, error };
}

/** Browsers allow six connections to a host: hidden tabs would take them from the one that is looked at. */
const HIDDEN_MS = 10_000;
/** A sample comes each second, so a stream that is silent for longer is lost. */
const SILENT_MS = 15_000;
const LEAST_SKEW_MS = 10_000;
const WAITS_S = [1, 2, 4, 8, 15];
const TOPICS = ["hello", "rows", "backlog", "coverage", "gap", "now", "job", "bye"];

class Stream {
  #source = null;
  #wanted = null;
  #after = "";
  #failures = 0;
  #timer = 0;
  #hiding = 0;
  #listeners = new Map(TOPICS.map((topic) => [topic, new Set()]));

  /** Have these topics and filters from now on. `after`: the id of the last row that is already there. */
  want(topics, filters = {}, after = "") {
    const wanted = JSON.stringify([topics, filters]);
    if (wanted === this.#wanted && this.#source) return;
    this.#wanted = wanted;
    this.#after = after;
    this.#failures = 0;
    this.#open();
  }

  /** Call a function with the data of each message; returns how to stop it. */
  on(topic, listener) {
    this.#listeners.get(topic).add(listener);
    return () => void this.#listeners.get(topic).delete(listener);
  }

  /** Close it after a while in which the tab is hidden, and open it again where it was. */
  watchVisibility() {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.#hiding);
      if (document.hidden) this.#hiding = setTimeout(() => this.close(), HIDDEN_MS);
      else if (!this.#source && this.#wanted) this.#open();
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  retry() {
    if (this.#wanted) this.#open();
  }

  #open() {
    this.close();
    const [topics, filters] = JSON.parse(this.#wanted);
    const source = new EventSource(address("/api/stream", { topics, ...filters, after: this.#after }));
    this.#source = source;
    for (const topic of TOPICS) source.addEventListener(topic, (message) => this.#take(topic, message));
    source.onerror = () => this.#source === source && this.#fail(source);
  }

  #take(topic, message) {
    const data = JSON.parse(message.data);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(message.target), SILENT_MS);
    if (message.lastEventId) this.#after = message.lastEventId;
    if (topic === "hello") this.#greet(data);
    else if (topic === "now") now.set({ ...data, at: performance.now() - (data.age_ms ?? 0) });
    else if (topic === "job") jobUpdates.set({ ...jobUpdates.get(), [data.id]: data });
    else if (topic === "bye") this.#wait(data.retry_ms / 1000, `The collector ended the stream: ${data.reason}.`);
    for (const listener of this.#listeners.get(topic)) listener(data, message.lastEventId);
  }

  #greet(hello) {
    this.#failures = 0;
    const ahead = hello.now_ms - Date.now();
    if (Math.abs(ahead - skew.get()) > LEAST_SKEW_MS) skew.set(ahead);
    const { actions, redacted, node, version } = hello;
    session.set({ ...session.get(), actions, redacted, node, version });
    connection.set({ state: "open", message: "", retryAt: 0, hellos: connection.get().hellos + 1 });
  }

  /** An EventSource does not tell why it failed: ask the same address once. */
  async #fail(source) {
    const url = source.url;
    source.close();
    const seconds = WAITS_S[Math.min(this.#failures++, WAITS_S.length - 1)];
    this.#wait(seconds, "Connection lost.");
    const error = await refusalOf(url);
    if (error && this.#source === source) this.#wait(error.retryAfter ?? seconds, error.message, "refused");
  }

  #wait(seconds, message, state = "lost") {
    this.#source?.close();
    clearTimeout(this.#timer);
    connection.set({ ...connection.get(), state, message, retryAt: performance.now() + seconds * 1000 });
    if (!document.hidden) this.#timer = setTimeout(() => this.#open(), seconds * 1000);
    else this.#source = null;
  }
}

/** The error with which an address refuses, or null if it can't be reached or works now. */
async function refusalOf(url) {
  const abort = new AbortController();
  try {
    const answer = await fetch(url, { signal: abort.signal, headers: { accept: "text/event-stream" } });
    return answer.ok ? null : await errorOf(answer);
  } catch {
    return null;
  } finally {
    abort.abort();
  }
}

export const stream = new Stream();
