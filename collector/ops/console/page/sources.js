/** Where the rows of the list come from: the filters, and the stream or a search in the log. */
import { html, useEffect, useRef, useState } from "./preact.js";
import { get, stream } from "./api.js";
import { Controls, Dialog, Field, PropertyNames, Select, TextBox, plain } from "./parts.js";
import { rows } from "./rows.js";
import { isRedacted, node, session, spoken, useCell, useNarrow } from "./state.js";
import { coverageText } from "./text.js";

const FILTERS = ["kind", "property", "source", "dialect", "ea", "ec", "uid", "q"];
const KINDS = ["stored", "rejected", "dead", "duplicate"];
const TYPING_MS = 400;

export const filtersOf = (query) => Object.fromEntries(FILTERS.filter((name) => query[name]).map((name) => [name, query[name]]));

/** The form; at 360 px a button that opens it. `change(name, value)` is called once typing stops. */
export function Filters({ filters, change }) {
  const [isOpen, open] = useState(false);
  const form = html`<${Form} filters=${filters} change=${change} />`;
  const set = Object.keys(filters).length;
  if (!useNarrow()) return form;
  return html`<button type="button" id="open-filters" onClick=${() => open(true)}>Filters${set > 0 && html` <b>${set}</b>`}</button>
    ${isOpen && html`<${Dialog} label="Filters" kind="sheet" onClose=${() => open(false)}>${form}<//>`}`;
}

function Form({ filters, change }) {
  const { properties, dialects } = useCell(node);
  useCell(session);
  const sources = [...new Set(properties.map(({ source }) => source))].sort();
  const known = filters.source && !sources.includes(filters.source) ? [filters.source, ...sources] : sources;
  const choose = (name, options) => html`<${Select} name=${name} value=${filters[name] ?? ""} options=${[["", "any"], ...plain(options)]}
    onChange=${(value) => change(name, value)} disabled=${isRedacted(name)} />`;
  const text = (name, list) => html`<${Typed} name=${name} value=${filters[name] ?? ""} change=${change} list=${list} />`;
  return html`<${Controls} kind="filters" role="search" label="Filters">
    <${Field} label="kind">${choose("kind", KINDS)}<//>
    <${Field} label="property">${text("property", "properties")}<//>
    <${Field} label="source">${choose("source", known)}<//>
    <${Field} label="dialect">${choose("dialect", dialects.map(({ name }) => name))}<//>
    <${Field} label="ea">${text("ea")}<//>
    <${Field} label="ec">${text("ec")}<//>
    <${Field} label="uid">${text("uid")}<//>
    <${Field} label="text">${text("q")}<//>
    <${PropertyNames} />
  <//>`;
}

function Typed({ name, value, change, list }) {
  const [typed, type] = useState(value);
  const timer = useRef(0);
  useEffect(() => type(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const isHidden = isRedacted(name);
  function input(text) {
    type(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => change(name, text), TYPING_MS);
  }
  return html`<${TextBox} name=${name} id="filter-${name}" value=${isHidden ? "" : typed} onInput=${input} list=${list}
    disabled=${isHidden} placeholder=${isHidden ? "hidden by admin.redact" : "any"} />`;
}

const ENOUGH_ROWS = 100;
const IDLE = { isRunning: false, read: 0, left: 0, backTo: null, found: 0, lost: 0, next: "", error: null };

/**
 * Search while `isOn`, from `beforeMs` or the end of the log; the rows go to the list. Returns
 * `{isRunning, read, left, backTo, found, lost, next, error, stop, goOn}`: `next` is null once the whole log was read.
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

const added = (old, { rows, next, scanned_bytes, left_bytes, back_to_ms, damaged = [] }) => ({
  ...old, read: old.read + scanned_bytes, left: left_bytes, backTo: back_to_ms, found: old.found + rows.length, next,
  lost: damaged.reduce((sum, { lost }) => sum + lost, old.lost),
});

const SPEAK_MS = 5000;
const NOTHING = { key: null, backlog: null, coverage: null, gap: null, isGreeted: false, ring: 0 };
let last = { key: "", id: "" };
let spokenAt = 0;

/** `{backlog, coverage, gap, isGreeted, isCaughtUp, ring}` of a stream. Its rows go to the list, which goes on where it was. */
export function useLiveStream(filters, isOn) {
  const [state, set] = useState(NOTHING);
  const key = JSON.stringify(filters);
  useEffect(() => {
    if (!isOn) {
      last = { key: "", id: "" };
      set(NOTHING);
      stream.want("now");
      return undefined;
    }
    if (last.key !== key) rows.clear();
    last = { key, id: last.key === key ? last.id : "" };
    set({ ...NOTHING, key });
    stream.want("live,now", filters, last.id);
    const change = (changes) => set((old) => ({ ...old, ...changes }));
    const ends = [
      stream.on("hello", ({ ring }) => change({ isGreeted: true, ring: Math.max(0, ring.last - ring.first + 1) })),
      stream.on("rows", (arrived, id) => take(arrived, id, key)),
      stream.on("coverage", (coverage) => (change({ coverage }), speak(coverage))),
      stream.on("backlog", (backlog) => change({ backlog })),
      stream.on("gap", (gap) => (gap.reason === "restart" && rows.expectRepeats(), change({ gap }))),
    ];
    return () => ends.forEach((end) => end());
  }, [key, isOn]);
  const { backlog, coverage } = state;
  return state.key === key ? { ...state, isCaughtUp: backlog ? backlog.is_done : coverage !== null } : NOTHING;
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
