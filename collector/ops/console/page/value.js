/** Strings and JSON of senders as elements: text nodes only, with what is invisible made visible. */
import { html, useRef, useState } from "./preact.js";
import { getBytes, useAction } from "./api.js";
import { Failure } from "./parts.js";
import { REDACTED, bytes, count, pieces } from "./text.js";

const FOLD_CHARACTERS = 2000;
const MOST_CHILDREN = 100;
const OPEN_CHILDREN = 12;
const OPEN_LEVELS = 2;

/** A string of a sender, isolated from the direction of the text around it. */
export function Text({ value }) {
  const text = String(value ?? "");
  if (text === REDACTED) return html`<span class="redacted" title="hidden by admin.redact">${text}</span>`;
  return html`<bdi>${pieces(text).map(({ text, chip }) => (chip ? html`<span class="chip">${chip}</span>` : text))}</bdi>`;
}

export const inert = (value) => html`<${Text} value=${value} />`;

function LongText({ value }) {
  const [isWhole, show] = useState(false);
  const isLong = value.length > FOLD_CHARACTERS;
  return html`
    <${Text} value=${isLong && !isWhole ? value.slice(0, FOLD_CHARACTERS) : value} />
    ${isLong && !isWhole && html`<button type="button" class="small" onClick=${() => show(true)}>
      … all ${count(value.length)} characters</button>`}
  `;
}

/** The number of a JSON text as it stands there: JavaScript would round long ones. */
class Digits {
  constructor(source) {
    this.source = source;
  }
}

/** JSON with its numbers as written, or undefined if the text is no JSON. */
export function parseExactly(text) {
  const keep = (_, value, context) =>
    typeof value === "number" ? new Digits(context?.source ?? String(value)) : value;
  try {
    return JSON.parse(text, keep);
  } catch {
    return undefined;
  }
}

export function Json({ value, level = 0 }) {
  if (!isBranch(value)) return html`<div class="leaf"><${Leaf} value=${value} /></div>`;
  return html`<div class="json"><${Children} value=${value} level=${level} /></div>`;
}

const isBranch = (value) => typeof value === "object" && value !== null && !(value instanceof Digits);

function Children({ value, level }) {
  const [shown, show] = useState(MOST_CHILDREN);
  const names = Object.keys(value);
  return html`
    ${names.slice(0, shown).map((name) => html`<${Child} key=${name} name=${name} value=${value[name]} level=${level} />`)}
    ${names.length > shown && html`<button type="button" class="small" onClick=${() => show(shown + MOST_CHILDREN)}>
      more: ${count(names.length - shown)} left</button>`}
    ${names.length === 0 && html`<span class="muted">empty</span>`}
  `;
}

function Child({ name, value, level }) {
  if (!isBranch(value)) {
    return html`<div class="leaf"><span class="key"><${Text} value=${name} /></span> <${Leaf} value=${value} /></div>`;
  }
  return html`<${Branch} name=${name} value=${value} level=${level} />`;
}

/** Its children are made when it is first opened. */
function Branch({ name, value, level }) {
  const size = Object.keys(value).length;
  const [isOpen, set] = useState(level < OPEN_LEVELS && size <= OPEN_CHILDREN);
  const label = Array.isArray(value) ? `[${count(size)}]` : `{${count(size)}}`;
  return html`
    <details open=${isOpen} onToggle=${(toggle) => set(toggle.currentTarget.open)}>
      <summary><span class="key"><${Text} value=${name} /></span> <span class="muted">${label}</span></summary>
      ${isOpen && html`<div class="json"><${Children} value=${value} level=${level + 1} /></div>`}
    </details>
  `;
}

function Leaf({ value }) {
  if (typeof value === "string") return html`<span class="value string"><${LongText} value=${value} /></span>`;
  return html`<span class="value literal">${value instanceof Digits ? value.source : String(value)}</span>`;
}

/** Text of which the server has more. `more` is what `useMore` gave. */
export function Cut({ total, more }) {
  return html`
    <pre class="raw" tabindex="0">${inert(more.text)}</pre>
    ${more.loaded < total && html`<button type="button" onClick=${more.run} disabled=${more.isBusy}>
      next 20 KB of ${bytes(total)}</button>`}
    <${Failure} error=${more.error} />
  `;
}

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
