/** Values that several views share, and what the visitor chose for this browser. */
import { useEffect, useState } from "./preact.js";

export function cell(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      if (next === value) return;
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    watch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

export function useCell(source) {
  const [, redraw] = useState(0);
  useEffect(() => {
    redraw((times) => times + 1); // it may have changed between the drawing and this effect
    return source.watch(() => redraw((times) => times + 1));
  }, [source]);
  return source.get();
}

/** The answer of `/api/session`, or null before it. */
export const session = cell(null);
/** The answer of `/api/node`: properties, dialects, sinks. */
export const node = cell({ event_url: "", kept_hours: null, properties: [], more_properties: 0, dialects: [], sinks: [] });
/** The newest `now` message, with `at`, when its sample was taken, by `performance.now()`. */
export const now = cell(null);
/** `{state: "connecting" | "open" | "lost" | "refused", message, retryAt, hellos}`. */
export const connection = cell({ state: "connecting", message: "", retryAt: 0, hellos: 0 });
/** The last `job` message of each job, by id. */
export const jobUpdates = cell({});
/** By how many ms the node's clock is ahead of the browser's, where they differ by more than a few seconds. */
export const skew = cell(0);
export const nodeNow = () => Date.now() + skew.get();
export const spoken = cell("");

function kept(name, initial) {
  const source = cell(initial);
  try {
    source.set(JSON.parse(localStorage.getItem(`tracklog.${name}`)) ?? initial);
  } catch {
    // storage is blocked or holds something else: the choice lasts for this page
  }
  source.watch((value) => {
    try {
      localStorage.setItem(`tracklog.${name}`, JSON.stringify(value));
    } catch {
      // as above
    }
  });
  return source;
}

export const theme = kept("theme", "auto");
export const isLocalTime = kept("local", false);
export const hasKeys = kept("keys", true);

/** Whether a field is hidden by `admin.redact`: `uid` is both `uid` and `event.uid`. */
export const isRedacted = (field) =>
  (session.get()?.redacted ?? []).some((path) => path === field || path === `event.${field}`);

const NARROW = matchMedia("(max-width: 759px)");

export function useNarrow() {
  const [isNarrow, set] = useState(NARROW.matches);
  useEffect(() => {
    const listen = () => set(NARROW.matches);
    NARROW.addEventListener("change", listen);
    return () => NARROW.removeEventListener("change", listen);
  }, []);
  return isNarrow;
}

/** Draw the component again each second, for what shows an age. */
export function useTick() {
  const [, set] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => set((times) => times + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return performance.now();
}
