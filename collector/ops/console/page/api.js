/** Requests to the API, and what they answer, as hooks. */
import { useEffect, useState } from "./preact.js";
import { session } from "./state.js";

/** An answer that is not a success, or none at all (`status` 0). */
export class ApiError extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** A path with a query, without its empty parameters. */
export function withQuery(path, parameters = {}) {
  const filled = Object.entries(parameters).filter(([, value]) => value !== "" && value != null);
  return filled.length ? `${path}?${new URLSearchParams(filled)}` : path;
}

export const get = (path, parameters, signal) => call("GET", withQuery(path, parameters), undefined, signal);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

/** The bytes of a path. */
export async function getBytes(path, parameters) {
  const answer = await answerOf(withQuery(path, parameters), {});
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
    throw new ApiError(0, "unreachable", "the admin process does not answer: is the collector running?");
  }
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

/** The error that an answer carries. A 401 brings the log-in form, except to the form itself. */
export async function errorOf(answer) {
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 401 && body.code !== "wrong_token") session.set({ ...session.get(), needs_token: true });
  const message = body.message ?? `the admin process answered ${answer.status}`;
  return new ApiError(answer.status, body.code ?? "unknown", message, Number(answer.headers.get("retry-after")) || null);
}

/** GET a path: `{data, error, isLoading, reload}`. While another path loads, `data` is null; while it reloads, the old one. */
export function useApi(path, parameters = {}) {
  const url = path && withQuery(path, parameters);
  const [state, set] = useState({ url: null, data: null, error: null });
  const [turn, reload] = useState(0);
  useEffect(() => {
    if (!url) return undefined;
    const abort = new AbortController();
    get(url, {}, abort.signal).then(
      (data) => set({ url, data, error: null }),
      (error) => error.name !== "AbortError" && set((old) => ({ url, data: old.url === url ? old.data : null, error })),
    );
    return () => abort.abort();
  }, [url, turn]);
  const isCurrent = state.url === url;
  return {
    data: isCurrent ? state.data : null,
    error: isCurrent ? state.error : null,
    isLoading: Boolean(url) && !isCurrent,
    reload: () => reload((last) => last + 1),
  };
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
