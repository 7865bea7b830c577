/** A table, which at 360 px is a list of cards. */
import { html, useState } from "./preact.js";
import { useNarrow } from "./state.js";

/**
 * `columns`: `{name, label, cell: (row) => element, isNumber, sort: (row) => value}`; the first names the row.
 * `rowKey`: a function from a row to its key. `chosen`: the key of the row that is open.
 */
export function Table({ caption, columns, rows, rowKey, chosen, isCaptionShown = false }) {
  const isNarrow = useNarrow();
  const [sort, setSort] = useState(null);
  const sorted = sort ? inOrder(rows, columns.find(({ name }) => name === sort.name).sort, sort.isUp) : rows;
  const shared = { caption, columns, rows: sorted, rowKey, chosen };
  if (isNarrow) return html`<${Cards} ...${shared} />`;
  const by = (name) => setSort({ name, isUp: sort?.name === name && !sort.isUp });
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table>
    <caption class=${isCaptionShown ? "" : "unseen"}>${caption}</caption>
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
  const { name, label, isNumber } = column;
  const order = sort?.name !== name ? "none" : sort.isUp ? "ascending" : "descending";
  if (!column.sort) return html`<th scope="col" class=${isNumber ? "number" : ""}>${label}</th>`;
  const arrow = { none: "", ascending: " ↑", descending: " ↓" }[order];
  return html`<th scope="col" class=${isNumber ? "number" : ""} aria-sort=${order}>
    <button type="button" class="sort" onClick=${() => by(name)}>${label}<span aria-hidden="true">${arrow}</span></button></th>`;
}

const Cards = ({ caption, columns: [title, ...columns], rows, rowKey, chosen }) =>
  html`<ul class="cards" aria-label=${caption}>${rows.map((row) => html`<li key=${rowKey(row)} class=${rowKey(row) === chosen ? "chosen" : ""}>
    <div class="card-title">${title.cell(row)}</div>
    <dl>${columns.map(({ label, cell }) => html`<div><dt>${label}</dt><dd>${cell(row)}</dd></div>`)}</dl>
  </li>`)}</ul>`;

/** Members and their values. */
export const Pairs = ({ pairs }) =>
  html`<dl class="pairs">${pairs.filter(([, value]) => value != null && value !== "").map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
