/** Charts in SVG: lines with one cursor across all of them, bars, and the small ones in tables. */
import { html, useState } from "./preact.js";
import { cell, isLocalTime, useCell } from "./state.js";
import { clock } from "./text.js";

const WIDTH = 360;
const HEIGHT = 64;
const TABLE_ROWS = 30;

/** The place that the pointer is at, as a share of the width; null if it is on no chart. */
const cursor = cell(null);

export const highest = (lists, least = 0) =>
  lists.reduce((most, values) => values.reduce((top, value) => (value > top ? value : top), most), least);

/** The `d` of a path: one point a value, a gap for each null. */
export function line(values, top, width = WIDTH, height = HEIGHT) {
  const step = width / Math.max(1, values.length - 1);
  let isDrawing = false;
  let path = "";
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (value == null) {
      isDrawing = false;
      continue;
    }
    path += `${isDrawing ? "L" : "M"}${round(at * step)} ${round(height - (top ? value / top : 0) * height)}`;
    isDrawing = true;
  }
  return path;
}

const second = (ms, isLocal) => clock(ms, isLocal).slice(0, 8);
const round = (value) => Math.round(value * 10) / 10;

/** Values in buckets of `size`, each the mean of what is known, the newest bucket whole. */
export function buckets(values, size) {
  const found = [];
  for (let end = values.length; end > 0; end -= size) {
    const known = values.slice(Math.max(0, end - size), end).filter((value) => value != null);
    found.unshift(known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null);
  }
  return found;
}

export function summary(values, firstMs, stepS, format, isLocal = false) {
  const last = values.findLast((value) => value != null);
  if (last === undefined) return "nothing yet";
  const at = values.indexOf(highest([values]));
  const when = second(firstMs + Math.max(0, at) * stepS * 1000, isLocal);
  return `now ${format(last)}, highest ${format(values[at] ?? last)} at ${when}`;
}

/** A series chart. `lines`: `[{name, label, tone}]`; `series`: `{step_s, first_ms, values}`. */
export function Chart({ title, lines, series, format, least = 0 }) {
  const isLocal = useCell(isLocalTime);
  const at = useCell(cursor);
  const lists = lines.map(({ name }) => series.values[name] ?? []);
  const top = highest(lists, least);
  const length = Math.max(...lists.map((list) => list.length));
  const index = at == null ? length - 1 : Math.round(at * (length - 1));
  const texts = lines.map(({ label }, each) => `${label}: ${summary(lists[each], series.first_ms, series.step_s, format, isLocal)}`);
  const id = `chart-${lines[0].name}`;
  return html`<figure class="chart" aria-labelledby="${id}">
    <figcaption><h3 id=${id}>${title}</h3><span class="muted">
      ${at == null ? `highest ${format(highest(lists))}` : second(series.first_ms + index * series.step_s * 1000, isLocal)}</span></figcaption>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-labelledby="${id} ${id}-text"
      onPointerMove=${follow} onPointerLeave=${() => cursor.set(null)}>
      <title id="${id}-text">${texts.join("; ")}</title>
      <path class="grid" d="M0 ${HEIGHT / 2}H${WIDTH}M0 0.5H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}" />
      ${lines.map(({ tone }, each) => html`<path class="line ${tone}" d=${line(lists[each], top)} />`)}
      ${at != null && html`<path class="cursor" d="M${round(at * WIDTH)} 0V${HEIGHT}" />`}
    </svg>
    <p class="legend">${lines.map(({ label, tone }, each) => html`<span>
      <${Swatch} tone=${tone} /> ${label} <b>${format(lists[each][index])}</b></span>`)}</p>
    <${AsTable} title=${title} lines=${lines} lists=${lists} series=${series} format=${format} />
  </figure>`;
}

export const Swatch = ({ tone }) => html`<span class="swatch ${tone}" aria-hidden="true"></span>`;

function follow(event) {
  const box = event.currentTarget.getBoundingClientRect();
  cursor.set(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
}

/** The values, the newest first; the table is made when it is opened. */
function AsTable({ title, lines, lists, series, format, action }) {
  const [isOpen, set] = useState(false);
  const isLocal = useCell(isLocalTime);
  const size = Math.max(1, Math.ceil(lists[0].length / TABLE_ROWS));
  const columns = isOpen ? lists.map((list) => buckets(list, size)) : [];
  const length = lists[0].length;
  const time = (row) => series.first_ms + Math.max(0, length - (columns[0].length - row) * size) * series.step_s * 1000;
  return html`<details class="as-table" onToggle=${(toggle) => set(toggle.currentTarget.open)}>
    <summary>as table</summary>
    ${isOpen && html`<div class="scroll" tabindex="0" role="region" aria-label="${title} as table"><table>
      <thead><tr><th scope="col">from</th>${lines.map(({ label }) => html`<th scope="col" class="number">${label}</th>`)}</tr></thead>
      <tbody>${columns[0].map((_, row) => row).reverse().map((row) => html`<tr>
        <th scope="row">${action
          ? html`<button type="button" class="small" onClick=${() => action(time(row))}>${second(time(row), isLocal)}</button>`
          : second(time(row), isLocal)}</th>
        ${columns.map((column) => html`<td class="number">${format(column[row])}</td>`)}
      </tr>`)}</tbody>
    </table></div>`}
  </details>`;
}

/** A click on a bar calls `choose` with the time at which it begins, as the table's buttons do. */
export function Bars({ label, tone, values, firstMs, stepS, format, chosenMs, choose }) {
  const isLocal = useCell(isLocalTime);
  const top = highest([values], 1e-9);
  const time = (at) => firstMs + at * stepS * 1000;
  const text = summary(values, firstMs, stepS, format, isLocal);
  const id = `bars-${tone}`;
  function pick(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * values.length);
    choose(time(Math.min(values.length - 1, Math.max(0, at))));
  }
  return html`<figure class="bars" aria-labelledby=${id}>
    <svg viewBox="0 0 ${values.length} 24" preserveAspectRatio="none" role="img" aria-labelledby="${id} ${id}-text" onClick=${pick}>
      <title id="${id}-text">${text}</title>
      <path class="grid" d="M0 24H${values.length}" />
      <path class="bar ${tone}" d=${barsPath(values, top)} />
      ${chosenMs != null && html`<path class="cursor" d="M${(chosenMs - firstMs) / stepS / 1000} 0h1v24h-1z" />`}
    </svg>
    <figcaption><span id=${id}><${Swatch} tone=${tone} /> ${label}</span> <b>${format(values.at(-1))}</b>
      <span class="muted wide">5 min, a bar is ${stepS} s</span></figcaption>
    <${AsTable} title=${label} lines=${[{ label }]} lists=${[values]} format=${format}
      series=${{ first_ms: firstMs, step_s: stepS }} action=${choose} />
  </figure>`;
}

/** One closed box for each value above 0; a small one stays visible. */
function barsPath(values, top, height = 24) {
  const box = (value, at) => (value > 0 ? `M${at + 0.1} ${height}v-${round(Math.max(1, (value / top) * height))}h.8V${height}z` : "");
  return values.map(box).join("");
}

export function Spark({ values, label }) {
  const top = highest([values], 1e-9);
  return html`<svg class="spark" viewBox="0 0 ${values.length} 24" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="grid" d="M0 24H${values.length}" /><path class="bar accent" d=${barsPath(values, top)} /></svg>`;
}
