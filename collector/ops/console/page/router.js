/** How readers go from view to view: by addresses, of which the query is the whole state, and by keys. */
import { html, useEffect, useRef } from "./preact.js";
import { Check, Dialog } from "./parts.js";
import { cell, hasKeys, useCell } from "./state.js";

/** By the first part of the path: the title of the view, and the key after `g` that leads there. */
export const VIEWS = {
  live: { title: "Live", key: "l" },
  event: { title: "Event" },
  now: { title: "Now", key: "n" },
  accounts: { title: "Accounts", key: "a" },
  log: { title: "Log", key: "o" },
  dead: { title: "Dead letters", key: "d" },
  replay: { title: "Replay", key: "r" },
  try: { title: "Try", key: "t" },
};

/** `{view, parts, query}` of an address; null for one that the page does not have. */
export function parse(path, search) {
  const parts = path.split("/").filter(Boolean).map(decoded);
  const view = parts.shift() ?? "live";
  return Object.hasOwn(VIEWS, view) ? { view, parts, query: Object.fromEntries(new URLSearchParams(search)) } : null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const NOWHERE = { view: "live", parts: [], query: {} };
const current = () => parse(location.pathname, location.search) ?? NOWHERE;

export const route = cell(current());

export function go(href, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", href);
  route.set(current());
}

export const eventPath = (id) => `/event/${encodeURIComponent(id)}`;
export const logPath = (shard, segment) => `/log/${encodeURIComponent(shard)}${segment === undefined ? "" : `/${segment}`}`;
export const deadPath = (id) => `/dead/${encodeURIComponent(id)}`;

/** Have links and the buttons Back and Forward change the view without loading the page. */
export function listen() {
  addEventListener("popstate", () => route.set(current()));
  document.addEventListener("click", (click) => {
    const link = click.target.closest?.("a[href]");
    if (!link || !isOurs(link, click)) return;
    click.preventDefault();
    go(link.href);
  });
}

function isOurs(link, click) {
  const isPlain = click.button === 0 && !(click.ctrlKey || click.metaKey || click.shiftKey || click.altKey);
  const isHere = link.origin === location.origin && !link.hasAttribute("download") && !link.target;
  return isPlain && isHere && !click.defaultPrevented && !link.hash && parse(link.pathname, link.search) !== null;
}

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
  ["c", "copy as curl"],
  ["y", "copy the link"],
  ["?", "these keys"],
];

const maps = new Set();
let pressedG = -Infinity;

/** Keys of the view that is shown, as `{key: function}`. */
export function useKeys(map) {
  const current = useRef(map);
  current.current = map;
  useEffect(() => {
    maps.add(current);
    return () => void maps.delete(current);
  }, []);
}

export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (!hasKeys.get() || event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
    const act = actionOf(event.key);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function isTaken({ target, key }) {
  if (document.querySelector("dialog[open]") || target.closest("input, textarea, select")) return true;
  return (key === " " || key === "Enter") && target.closest("button, a[href], summary") !== null;
}

function actionOf(key) {
  const isAfterG = performance.now() - pressedG < AFTER_G_MS;
  pressedG = key === "g" ? performance.now() : -Infinity;
  const view = isAfterG && Object.keys(VIEWS).find((name) => VIEWS[name].key === key);
  if (view) return () => go(`/${view}`);
  if (isAfterG && key === "/") return () => document.getElementById("find")?.focus();
  if (isAfterG || key === "g") return undefined;
  return [...maps].map(({ current }) => current[key]).find(Boolean);
}

export const KeysHelp = ({ onClose }) =>
  html`<${Dialog} label="Keys" onClose=${onClose}>
    <dl class="pairs">${HELP.map(([keys, what]) => html`<div><dt><kbd>${keys}</kbd></dt><dd>${what}</dd></div>`)}</dl>
    <${Check} label="Single keys act" isOn=${useCell(hasKeys)} onChange=${hasKeys.set} />
  <//>`;
