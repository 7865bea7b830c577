/** The search in the log, newest first, in calls of which each reads for a moment. */
import { useEffect, useRef, useState } from "./preact.js";
import { get } from "./api.js";
import { rows } from "./rows.js";

const ENOUGH_ROWS = 100;
const IDLE = { isRunning: false, read: 0, total: 0, backTo: null, found: 0, next: "", error: null };

/**
 * Search while `isOn`, from `beforeMs` or the end of the log; the rows go to the list. Returns
 * `{isRunning, read, total, backTo, found, next, error, stop, goOn}`: `next` is null once the whole log was read.
 */
export function useSearch(isOn, filters, beforeMs) {
  const [state, set] = useState(IDLE);
  const running = useRef(null);
  const change = (changes) => set((old) => ({ ...old, ...changes }));
  function stop() {
    running.current?.abort();
    change({ isRunning: false });
  }
  function run(next) {
    running.current = new AbortController();
    change({ isRunning: true, error: null });
    const first = next ? { before: next } : { before_ms: beforeMs };
    read({ ...filters, ...first }, running.current.signal, set).then(
      () => change({ isRunning: false }),
      (error) => error.name !== "AbortError" && change({ isRunning: false, error }),
    );
  }
  useEffect(() => {
    if (!isOn) return undefined;
    rows.clear();
    rows.pause();
    set(IDLE);
    run("");
    return stop;
  }, [JSON.stringify([isOn, filters, beforeMs])]);
  return { ...state, stop, goOn: () => run(state.next) };
}

/** Call after call, until a page of rows is found or the log ends. */
async function read(parameters, signal, set) {
  for (let found = 0; found < ENOUGH_ROWS; ) {
    const answer = await get("/api/search", { ...parameters, limit: ENOUGH_ROWS }, signal);
    signal.throwIfAborted();
    rows.append(answer.rows);
    found += answer.rows.length;
    set((old) => added(old, answer));
    if (answer.next === null) return;
    parameters = { ...parameters, before: answer.next, before_ms: null };
  }
}

const added = (old, { rows, next, scanned_bytes, total_bytes, back_to_ms }) => ({
  ...old, read: old.read + scanned_bytes, total: total_bytes, backTo: back_to_ms, found: old.found + rows.length, next,
});
