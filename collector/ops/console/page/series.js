/** The series of the node: read once, then one sample a second from the stream. */
import { useEffect, useState } from "./preact.js";
import { useApi } from "./api.js";
import { connection, now, useCell } from "./state.js";

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

/** `{series, error}` of these names over so many seconds, kept up to date. Read again after a lost connection. */
export function useSeries(names, seconds) {
  const { hellos } = useCell(connection);
  const { data, error, reload } = useApi("/api/series", { names: names.join(","), seconds });
  const [series, set] = useState(null);
  useEffect(() => set(data), [data]);
  useEffect(() => void (hellos > 1 && reload()), [hellos]);
  useEffect(() => now.watch(({ now_ms, values }) => set((old) => old && extended(old, now_ms, values))), []);
  return { series, error };
}
