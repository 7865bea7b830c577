/** The filters of the live list, which stand in the address. */
import { html, useEffect, useRef, useState } from "./preact.js";
import { Dialog, Field, Names, Select } from "./parts.js";
import { isRedacted, node, session, useCell, useNarrow } from "./state.js";

/** The parameters that the stream and the search take. */
export const FILTERS = ["kind", "property", "source", "dialect", "ea", "ec", "uid", "q"];
const KINDS = ["stored", "rejected", "dead", "duplicate"];
const TYPING_MS = 400;

/** The filters in a query, without the rest of it and without empty ones. */
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
  const choose = (name, options) => html`<${Select} name=${name} value=${filters[name] ?? ""} options=${[["", "any"], ...options.map((each) => [each, each])]}
    onChange=${(value) => change(name, value)} disabled=${isRedacted(name)} />`;
  const text = (name, list) => html`<${Typed} name=${name} value=${filters[name] ?? ""} change=${change} list=${list} />`;
  return html`<form class="filters" role="search" aria-label="Filters" onSubmit=${(event) => event.preventDefault()}>
    <${Field} label="kind">${choose("kind", KINDS)}<//>
    <${Field} label="property">${text("property", "properties")}<//>
    <${Field} label="source">${choose("source", filters.source && !sources.includes(filters.source) ? [filters.source, ...sources] : sources)}<//>
    <${Field} label="dialect">${choose("dialect", dialects.map(({ name }) => name))}<//>
    <${Field} label="ea">${text("ea")}<//>
    <${Field} label="ec">${text("ec")}<//>
    <${Field} label="uid">${text("uid")}<//>
    <${Field} label="text">${text("q")}<//>
    <${Names} id="properties" names=${properties.map(({ property }) => property)} />
  </form>`;
}

/** A text box that tells its value when typing stops. */
function Typed({ name, value, change, list }) {
  const [typed, type] = useState(value);
  const timer = useRef(0);
  useEffect(() => type(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const isHidden = isRedacted(name);
  function input(event) {
    const text = event.currentTarget.value;
    type(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => change(name, text), TYPING_MS);
  }
  return html`<input type="text" name=${name} id="filter-${name}" value=${isHidden ? "" : typed} onInput=${input} list=${list} maxlength="200"
    disabled=${isHidden} placeholder=${isHidden ? "hidden by admin.redact" : "any"} autocomplete="off" spellcheck="false" />`;
}
