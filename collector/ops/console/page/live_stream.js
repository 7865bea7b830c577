/** What the stream tells the live list. */
import { useEffect, useState } from "./preact.js";
import { rows } from "./rows.js";
import { spoken } from "./state.js";
import { stream } from "./stream.js";
import { coverageText } from "./text.js";

const SPEAK_MS = 5000;
const NOTHING = { coverage: null, gap: null, isGreeted: false, ring: 0 };
let last = { key: "", id: "" };
let spokenAt = 0;

/** `{coverage, gap, isGreeted, ring}` of a stream with these filters. Rows go to the list, which goes on where it was. */
export function useLiveStream(filters, isOn) {
  const [state, set] = useState(NOTHING);
  const key = JSON.stringify(filters);
  useEffect(() => {
    if (!isOn) {
      last = { key: "", id: "" };
      stream.want("now");
      return undefined;
    }
    if (last.key !== key) rows.clear();
    last = { key, id: last.key === key ? last.id : "" };
    set(NOTHING);
    stream.want("live,now", filters, last.id);
    const change = (changes) => set((old) => ({ ...old, ...changes }));
    const ends = [
      stream.on("hello", ({ ring }) => change({ isGreeted: true, ring: Math.max(0, ring.last - ring.first + 1) })),
      stream.on("rows", (arrived, id) => take(arrived, id, key)),
      stream.on("coverage", (coverage) => (change({ coverage }), speak(coverage))),
      stream.on("gap", (gap) => change({ gap })),
    ];
    return () => ends.forEach((end) => end());
  }, [key, isOn]);
  return state;
}

function take(arrived, id, key) {
  last = { key, id };
  rows.push(arrived);
}

/** Tell screen readers how it goes, seldom enough to be listened to. */
function speak(coverage) {
  if (performance.now() - spokenAt < SPEAK_MS) return;
  spokenAt = performance.now();
  spoken.set(coverageText(coverage));
}
