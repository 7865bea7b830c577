/** Long content, 20 KB at a time. */
import { useRef, useState } from "./preact.js";
import { getBytes, useAction } from "./api.js";

const PART_BYTES = 20480;

/** `{text, loaded, isWhole, run, isBusy, error}`: `start` is the text so far, `truncatedAt` its bytes, null if it is whole. */
export function useMore(path, start, truncatedAt) {
  const [state, set] = useState({ text: start, loaded: truncatedAt ?? Infinity, isWhole: truncatedAt == null });
  const decoder = useRef(null);
  decoder.current ??= new TextDecoder();
  const action = useAction(async () => {
    const part = await getBytes(path, { from: state.loaded, limit: PART_BYTES });
    const text = decoder.current.decode(part, { stream: true });
    set((old) => ({ text: old.text + text, loaded: old.loaded + part.length, isWhole: part.length < PART_BYTES }));
  });
  return { ...state, run: action.run, isBusy: action.isBusy, error: action.error };
}
