/** The small parts of all views. */
import { html, useEffect, useRef, useState } from "./preact.js";
import { get } from "./api.js";
import { isLocalTime, node, session, useCell, useNarrow, useTick } from "./state.js";
import { clock, duration, stamp } from "./text.js";

const TONES = { stored: "ok", rejected: "warn", dead: "dead", damaged: "bad" };

/** The tone of a kind of row. */
export const toneOf = (kind) => TONES[kind] ?? "muted";

/** The shape of each tone, so that colour is not all that tells. */
export const SHAPES = { ok: "●", warn: "◆", bad: "▲", dead: "✚", accent: "→", muted: "◌" };

export const State = ({ tone, shape = SHAPES[tone], children }) =>
  html`<span class="state ${tone}"><span aria-hidden="true">${shape}</span> ${children}</span>`;

export const Kind = ({ kind }) => html`<${State} tone=${toneOf(kind)}>${kind}<//>`;

/** A time: of the day, or with its day. The other clock is in the tooltip. */
export function Time({ ms, isWhole = false }) {
  const isLocal = useCell(isLocalTime);
  if (ms == null) return "–";
  return html`<time datetime=${new Date(ms).toISOString()} title=${stamp(ms)}>${(isWhole ? stamp : clock)(ms, isLocal)}</time>`;
}

export const Failure = ({ error, retry }) =>
  error &&
  html`<div class="note bad" role="alert">
    <p><${State} tone="bad">${error.message}<//></p>
    ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
  </div>`;

export const Note = ({ tone, shape, children }) =>
  html`<div class="note ${tone ?? "muted"}"><p>${tone ? html`<${State} tone=${tone} shape=${shape}>${children}<//>` : children}</p></div>`;

export const AllWell = ({ children }) => html`<${Note} tone="ok" shape="✓">${children}<//>`;

export const Skeleton = ({ rows = 6 }) =>
  html`<div class="skeleton" aria-hidden="true">${Array.from({ length: rows }, () => html`<div></div>`)}</div>
    <p class="unseen" role="status">loading</p>`;

/** How long ago news came, where that is too long: a value from then must not pass for one of now. */
export function staleness(ageMs) {
  return ageMs > 5000 ? `no news for ${duration(ageMs / 1000)}` : "";
}

/** Milliseconds since the `at` of a message; drawn again each second. */
export const useAge = (message) => useTick() - (message?.at ?? performance.now());

/** A dialog over the page. Focus returns to where it was when it closes. */
export function Dialog({ label, onClose, children, kind = "" }) {
  const element = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    return () => before?.isConnected && before.focus({ preventScroll: true });
  }, []);
  return html`<dialog ref=${element} class=${kind} aria-label=${label} onClose=${onClose}>
    <div class="dialog-head">
      <h2>${label}</h2>
      <form method="dialog"><button class="small" aria-label="Close ${label}">✕</button></form>
    </div>
    ${children}
  </dialog>`;
}

/** A button that copies a text. Where the browser forbids that, a dialog shows the text, selected. */
export function Copy({ text, children, label, id }) {
  const [state, set] = useState("");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      set("copied");
      setTimeout(() => set(""), 2000);
    } catch {
      set("by hand");
    }
  }
  return html`
    <button type="button" id=${id} onClick=${copy} disabled=${text == null} aria-label=${label}>
      ${state === "copied" ? "copied" : children}</button>
    ${state === "by hand" && html`<${Dialog} label="Copy by hand" onClose=${() => set("")}><${Selected} text=${text} /><//>`}
  `;
}

function Selected({ text }) {
  const element = useRef(null);
  useEffect(() => element.current.select(), []);
  return html`<p class="muted">This address is not secure, so the browser does not let pages copy. The text is selected.</p>
    <textarea ref=${element} rows="8" readonly aria-label="Text to copy">${text}</textarea>`;
}

export const Command = ({ text }) =>
  html`<div class="command"><pre tabindex="0" class="raw">${text}</pre><${Copy} text=${text} label="copy the command">copy<//></div>`;

/** Tabs with one panel each, or all panels one under the other. `panels`: `[[name, element], …]`. */
export function Tabs({ panels, isStacked, label }) {
  const [chosen, choose] = useState(panels[0][0]);
  const buttons = useRef(null);
  if (isStacked) return html`<div class="halves">${panels.map(([name, panel]) => html`<section><h3>${name}</h3>${panel}</section>`)}</div>`;
  const names = panels.map(([name]) => name);
  function move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = names[(names.indexOf(chosen) + step + names.length) % names.length];
    choose(next);
    buttons.current.querySelector(`[data-name="${next}"]`).focus();
  }
  return html`
    <div class="tabs" role="tablist" aria-label=${label} ref=${buttons} onKeyDown=${move}>
      ${names.map((name) => html`<button type="button" role="tab" id="tab-${name}" data-name=${name} aria-controls="panel-of-tabs"
        aria-selected=${String(name === chosen)} tabindex=${name === chosen ? 0 : -1} onClick=${() => choose(name)}>${name}</button>`)}
    </div>
    <div role="tabpanel" id="panel-of-tabs" aria-labelledby="tab-${chosen}" tabindex="0">
      ${panels.find(([name]) => name === chosen)[1]}</div>
  `;
}

/** A box for one line of text. `onInput` and `onChange` get the text. */
export const TextBox = ({ onInput, onChange, type = "text", ...rest }) =>
  html`<input type=${type} maxlength="200" autocomplete="off" spellcheck="false" ...${rest}
    onInput=${onInput && ((event) => onInput(event.currentTarget.value))} onChange=${onChange && ((event) => onChange(event.currentTarget.value))} />`;

export const Check = ({ label, isOn, onChange }) =>
  html`<label class="check"><input type="checkbox" checked=${isOn} onChange=${(event) => onChange(event.currentTarget.checked)} /> ${label}</label>`;

export const Details = ({ label, children }) => html`<details><summary>${label}</summary>${children}</details>`;

export const Field = ({ label, hint, children }) =>
  html`<label class="field"><span>${label}</span>${children}${hint && html`<small class="muted">${hint}</small>`}</label>`;

export const Controls = ({ kind = "bar", label, role, children }) =>
  html`<form class=${kind} role=${role} aria-label=${label} onSubmit=${(event) => event.preventDefault()}>${children}</form>`;

export const PropertyField = ({ value, change, ...rest }) =>
  html`<${Field} label="property"><${TextBox} list="properties" value=${value} onChange=${change} ...${rest} /><//><${PropertyNames} />`;

export const PropertyNames = () =>
  html`<datalist id="properties">${useCell(node).properties.map(({ property }) => html`<option value=${property} />`)}</datalist>`;

export const Select = ({ value, options, onChange, ...rest }) =>
  html`<select value=${value} onChange=${(event) => onChange(event.currentTarget.value)} ...${rest}>
    ${options.map(([key, label]) => html`<option value=${key} selected=${key === value}>${label}</option>`)}
  </select>`;

export const plain = (names) => names.map((name) => [name, name]);

/** A button for what changes something. Without `admin.allow_actions` it is disabled and says why; while busy it keeps the focus. */
export function ActionButton({ onClick, isBusy = false, children, kind = "danger" }) {
  const isAllowed = useCell(session)?.actions;
  return html`
    <button type="button" class=${kind} onClick=${!isBusy && onClick} disabled=${!isAllowed} aria-disabled=${isBusy}>${children}</button>
    ${!isAllowed && html`<small class="muted">set admin.allow_actions = true in the settings to use it</small>`}
  `;
}

/**
 * `columns`: `{name, label = name, cell: (row) => element, isNumber, sort: (row) => value}`; the first names the row.
 * `rowKey`: a function from a row to its key. `chosen`: the key of the row that is open.
 */
export function Table({ caption, columns, rows, rowKey, chosen }) {
  const isNarrow = useNarrow();
  const [sort, setSort] = useState(null);
  const sorted = sort ? inOrder(rows, columns.find(({ name }) => name === sort.name).sort, sort.isUp) : rows;
  const shared = { caption, columns, rows: sorted, rowKey, chosen };
  if (isNarrow) return html`<${Cards} ...${shared} />`;
  const by = (name) => setSort({ name, isUp: sort?.name === name && !sort.isUp });
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table>
    <caption class="unseen">${caption}</caption>
    <thead><tr>${columns.map((column) => html`<${Head} column=${column} sort=${sort} by=${by} />`)}</tr></thead>
    <tbody>${sorted.map((row) => html`<tr key=${rowKey(row)} class=${rowKey(row) === chosen ? "chosen" : ""}>
      ${columns.map((column, at) => html`<${at ? "td" : "th"} scope=${at ? undefined : "row"} class=${column.isNumber ? "number" : ""}>
        ${column.cell(row)}<//>`)}
    </tr>`)}</tbody>
  </table></div>`;
}

function inOrder(rows, value, isUp) {
  const direction = isUp ? 1 : -1;
  return [...rows].sort((one, other) => {
    const [first, second] = [value(one), value(other)];
    return first === second ? 0 : (first ?? -Infinity) < (second ?? -Infinity) ? -direction : direction;
  });
}

function Head({ column, sort, by }) {
  const { name, label = name, isNumber } = column;
  const order = sort?.name !== name ? "none" : sort.isUp ? "ascending" : "descending";
  if (!column.sort) return html`<th scope="col" class=${isNumber ? "number" : ""}>${label}</th>`;
  const arrow = { none: "", ascending: " ↑", descending: " ↓" }[order];
  return html`<th scope="col" class=${isNumber ? "number" : ""} aria-sort=${order}>
    <button type="button" class="sort" onClick=${() => by(name)}>${label}<span aria-hidden="true">${arrow}</span></button></th>`;
}

const Cards = ({ caption, columns: [title, ...columns], rows, rowKey, chosen }) =>
  html`<ul class="cards" aria-label=${caption}>${rows.map((row) => html`<li key=${rowKey(row)}
    class=${rowKey(row) === chosen ? "chosen" : ""}>
    <div class="card-title">${title.cell(row)}</div>
    <dl>${columns.map(({ name, label = name, cell }) => html`<div><dt>${label}</dt><dd>${cell(row)}</dd></div>`)}</dl>
  </li>`)}</ul>`;

/** `{pages, next, more, failure}` of a list; `more()` reads its next page. */
export function usePages(first, path, parameters) {
  const [later, set] = useState([]);
  const [failure, fail] = useState(null);
  useEffect(() => set([]), [first]);
  const pages = [first, ...later];
  const next = pages.at(-1)?.next;
  const more = () => get(path, { ...parameters, after: next }).then((page) => set([...later, page]), fail);
  return { pages, next, more, failure };
}

export const Pairs = ({ pairs }) =>
  html`<dl class="pairs">${pairs.map(([name, value]) => value != null && value !== "" && html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
