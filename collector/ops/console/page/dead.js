/** Dead letters: what was refused and why, and a second chance for it. */
import { html, useState } from "./preact.js";
import { post, useAction, useApi } from "./api.js";
import { LetterView } from "./event.js";
import {
  ActionButton, AllWell, Controls, Failure, Field, Note, Pairs, PropertyField, Select, Skeleton, State, Table, Time, usePages
} from "./parts.js";
import { JobsList, useJobs } from "./replay.js";
import { deadPath, go } from "./router.js";
import { useNarrow } from "./state.js";
import { address, bytes, count, plural } from "./text.js";
import { inert } from "./value.js";

const SINCE = { "1h": [1, "the last hour"], "24h": [24, "24 hours"], "7d": [168, "7 days"], all: [null, "all that are kept"] };
const MOST_ROWS = 1000;

export function Dead({ parts: [id], query }) {
  const since = Object.hasOwn(SINCE, query.since) ? query.since : "24h";
  const [openedAt] = useState(() => Date.now());
  const [hours, label] = SINCE[since];
  const sinceMs = hours && openedAt - hours * 3_600_000;
  const isNarrow = useNarrow();
  const change = (changes) => go(address("/dead", { ...query, ...changes }));
  const reasons = useApi("/api/dead/reasons", { property: query.property, since: sinceMs });
  const view = { query, since, sinceMs, change, reasons, id };
  if (id && isNarrow) {
    return html`<h1>Dead letter</h1><p><a href=${address("/dead", query)}>all dead letters</a></p>
      <${LetterView} key=${id} id=${id} />`;
  }
  return html`
    <h1>Dead letters</h1>
    <${Which} ...${view} />
    <${Failure} error=${reasons.error} retry=${reasons.reload} />
    ${reasons.isLoading && html`<${Skeleton} />`}
    ${reasons.data && (reasons.data.letters || id ? html`<${Letters} ...${view} isNarrow=${isNarrow} />`
      : html`<${AllWell}>no dead letter in ${label}<//>`)}
  `;
}

function Which({ query, since, change }) {
  return html`<${Controls} role="search" label="Which dead letters">
    <${Field} label="since"><${Select} value=${since} options=${Object.entries(SINCE).map(([key, [, text]]) => [key, text])}
      onChange=${(value) => change({ since: value })} /><//>
    <${PropertyField} type="search" value=${query.property ?? ""} placeholder="any" change=${(property) => change({ property })} />
  <//>`;
}

function Letters({ query, sinceMs, reasons, id, change, isNarrow }) {
  const selection = { reason: query.reason || null, property: query.property || null, since: sinceMs, ids: null };
  const total = query.reason ? (reasons.data.reasons.find(({ reason }) => reason === query.reason)?.letters ?? 0) : reasons.data.letters;
  const isListShown = !isNarrow || query.reason;
  return html`<div class=${id ? "sides three" : "sides"}>
    <div>
      <nav aria-label="Reasons"><${Reasons} reasons=${reasons.data} query=${query} /></nav>
      <${Redrive} key=${`redrive ${JSON.stringify(selection)}`} selection=${selection} total=${total} />
    </div>
    <div>${isListShown && html`<${List} key=${JSON.stringify(selection)} selection=${selection} query=${query} id=${id} />`}</div>
    ${id && html`<aside class="panel" aria-label="Dead letter">
      <button type="button" class="small close" aria-label="Close the letter" onClick=${() => change({})}>✕</button>
      <${LetterView} key=${id} id=${id} /></aside>`}
  </div>`;
}

const Reasons = ({ reasons, query }) =>
  html`<ul class="choices">
    <${Reason} query=${query} reason="" letters=${reasons.letters} label="all reasons" />
    ${reasons.reasons.map((each) => html`<${Reason} key=${each.reason} query=${query} ...${each} label=${each.reason} />`)}
  </ul>`;

const Reason = ({ query, reason, letters, label, of_sink }) =>
  html`<li><a href=${address("/dead", { ...query, reason })} aria-current=${reason === (query.reason ?? "") ? "true" : undefined}>
    <span>${inert(label)} ${of_sink && html`<span class="muted">by a sink</span>`}</span> <span class="amount">${count(letters)}</span></a></li>`;

/** The letters, newest first, a page at a time. */
function List({ selection, query, id }) {
  const { reason, property, since } = selection;
  const parameters = { reason, property, since };
  const { data, error, isLoading, reload } = useApi("/api/dead", parameters);
  const { pages, next, more, failure } = usePages(data, "/api/dead", parameters);
  if (!data) return html`<${Failure} error=${error} retry=${reload} />${isLoading && html`<${Skeleton} />`}`;
  const letters = pages.flatMap((page) => page.letters);
  return html`
    <${Table} caption="Dead letters, newest first" columns=${columnsOf(query)} rows=${letters} rowKey=${(letter) => letter.id} chosen=${id} />
    <${Failure} error=${failure} />
    ${next && (letters.length < MOST_ROWS ? html`<p><button type="button" onClick=${more}>Older</button></p>`
      : html`<${Note}>More than ${count(MOST_ROWS)}: narrow the selection, or use <code>collector dead ls</code>.<//>`)}`;
}

const LetterLink = ({ letter, query }) =>
  html`<a href=${address(deadPath(letter.id), query)}><${Time} ms=${letter.received_ms} isWhole /></a>`;

const columnsOf = (query) => [
  { name: "time", label: "time", cell: (letter) => html`<${LetterLink} letter=${letter} query=${query} />` },
  { name: "reason", label: "reason", cell: ({ reason }) => html`<${State} tone="dead">${inert(reason)}<//>` },
  { name: "property", label: "property", cell: ({ property, dialect }) => html`${inert(property)} <span class="muted">${dialect}</span>` },
  { name: "size", label: "size", isNumber: true, cell: (letter) => bytes(letter.bytes) },
  { name: "redriven", label: "redriven", cell: ({ redriven }) => (redriven ? html`<${State} tone="ok" shape="✓">yes<//>` : "–") },
];

/** Preview, then the button that names the number. */
function Redrive({ selection, total }) {
  const preview = useAction(() => post("/api/redrive/preview", { selection }));
  const start = useAction((plan) => post("/api/jobs", { plan }));
  const jobs = useJobs();
  const plan = preview.data;
  if (!total) return null;
  return html`<section class="action">
    <h2>Redrive</h2>
    <p class="muted">Letters that pass today's rules are stored as events. The letters stay.</p>
    <p><${ActionButton} kind="" isBusy=${preview.isBusy} onClick=${() => (start.clear(), preview.run())}>
      ${preview.isBusy ? "Reading …" : `Preview redrive of ${count(total)}`}<//></p>
    <${Failure} error=${preview.error} />
    <div role="status">${plan && html`<${Preview} plan=${plan} />`}</div>
    ${plan && !start.data && plan.would_pass > 0 && html`<p>
      <${ActionButton} isBusy=${start.isBusy} onClick=${() => start.run(plan.plan)}>Redrive ${plural(plan.would_pass, "letter")}<//></p>`}
    <${Failure} error=${start.error} />
    ${start.data && html`<${JobsList} jobs=${jobs.list.filter(({ id }) => id === start.data.job)} />`}
  </section>`;
}

const Preview = ({ plan }) =>
  html`<${Pairs} pairs=${[
    ["would pass now", plan.would_pass ? html`<${State} tone="ok" shape="✓">${count(plan.would_pass)}<//>` : "none"],
    ...Object.entries(plan.still_refused).map(([reason, letters]) => [html`still refused: ${inert(reason)}`, count(letters)]),
    ["of a property that was removed", plan.unknown ? count(plan.unknown) : null],
    ["refused by a sink: Replay sends them there again", plan.of_sinks ? count(plan.of_sinks) : null],
    ["the preview holds until", html`<${Time} ms=${plan.expires_ms} />`],
  ]} />`;
