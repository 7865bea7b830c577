/** Keys without a modifier. They are off in text fields, under a dialog, and for those who turn them off. */
import { html, useEffect, useRef } from "./preact.js";
import { Dialog } from "./parts.js";
import { go } from "./router.js";
import { hasKeys, useCell } from "./state.js";

const VIEWS = { l: "/live", n: "/now", a: "/accounts", o: "/log", d: "/dead", r: "/replay", t: "/try" };
const AFTER_G_MS = 1500;
const HELP = [
  ["g, then l n a o d r t", "Live, Now, Accounts, Log, Dead letters, Replay, Try"],
  ["g, then /", "find an id"],
  ["space or p", "pause Live, or go on"],
  ["j k", "next row, row before"],
  ["Enter", "open the row"],
  ["Esc", "close"],
  ["[ ]", "older event, newer event"],
  ["/", "to the filters"],
  ["x", "clear the filters"],
  ["c", "copy the event as curl"],
  ["y", "copy the link to the event"],
  ["?", "these keys"],
];

const maps = new Set();
let afterG = 0;

/** Keys of the view that is shown, as `{key: function}`. */
export function useKeys(map) {
  const current = useRef(map);
  current.current = map;
  useEffect(() => {
    maps.add(current);
    return () => void maps.delete(current);
  }, []);
}

/** Take keys from now on. */
export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (!hasKeys.get() || event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
    const act = actionOf(event.key);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/** Whether the key belongs to the element that has the focus. */
function isTaken({ target, key }) {
  if (document.querySelector("dialog[open]") || target.closest("input, textarea, select")) return true;
  return (key === " " || key === "Enter") && target.closest("button, a[href], summary") !== null;
}

function actionOf(key) {
  const isAfterG = performance.now() - afterG < AFTER_G_MS;
  afterG = key === "g" ? performance.now() : 0;
  if (isAfterG && VIEWS[key]) return () => go(VIEWS[key]);
  if (isAfterG && key === "/") return () => document.getElementById("find")?.focus();
  if (isAfterG || key === "g") return undefined;
  return [...maps].map(({ current }) => current[key]).find(Boolean);
}

/** The list of keys. */
export const KeysHelp = ({ onClose }) =>
  html`<${Dialog} label="Keys" onClose=${onClose}>
    <dl class="pairs">${HELP.map(([keys, what]) => html`<div><dt><kbd>${keys}</kbd></dt><dd>${what}</dd></div>`)}</dl>
    <label class="check"><input type="checkbox" checked=${useCell(hasKeys)} onChange=${(event) => hasKeys.set(event.currentTarget.checked)} /> Single keys act</label>
  <//>`;
