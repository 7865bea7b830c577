/** What can go again: dead letters by a redrive, a window of the log by a replay; and the jobs that do it. */
import { html, useEffect, useState } from "./preact.js";
import { post, remove, useAction, useApi } from "./api.js";
import { LetterView } from "./event.js";
import {
  ActionButton, AllWell, Check, Controls, Failure, Field, Note, Pairs, PropertyField, Select, Skeleton, State, Table, TextBox, Time, plain,
  usePages
} from "./parts.js";
import { deadPath, go } from "./router.js";
import { jobUpdates, node, nodeNow, skew, useCell, useNarrow } from "./state.js";
import { address, bytes, count, percent, plural } from "./text.js";
import { inert } from "./value.js";

const SINCE = { "1h": [1, "the last hour"], "24h": [24, "24 hours"], "7d": [168, "7 days"], all: [null, "all that are kept"] };
const HOUR_MS = 3_600_000;
const MOST_ROWS = 1000;

export function Dead({ parts: [id], query }) {
  const since = Object.hasOwn(SINCE, query.since) ? query.since : "24h";
  const [openedAt] = useState(() => Date.now());
  const [hours, label] = SINCE[since];
  const sinceMs = hours && openedAt + useCell(skew) - hours * HOUR_MS;
  const isNarrow = useNarrow();
  const change = (changes) => go(address("/dead", { ...query, ...changes }));
  const reasons = useApi("/api/dead/reasons", { property: query.property, since: sinceMs });
  const backTo = reasons.data?.back_to_ms;
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
    ${backTo && html`<${Note} tone="warn">These are too many to count: the numbers are of those since${" "}<${Time} ms=${backTo} isWhole /><//>`}
    ${reasons.data && (reasons.data.letters || backTo || id ? html`<${Letters} ...${view} isNarrow=${isNarrow} />`
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
  const [redrives, note] = useState(0);
  return html`<div class=${id ? "sides three" : "sides"}>
    <div>
      <nav aria-label="Reasons"><${Reasons} reasons=${reasons.data} query=${query} /></nav>
      <${Redrive} key=${`redrive ${JSON.stringify(selection)}`} selection=${selection} total=${total} isPart=${reasons.data.back_to_ms}
        onEnd=${() => (note(redrives + 1), reasons.reload())} />
    </div>
    <div>${isListShown && html`<${List} key=${JSON.stringify([selection, redrives])} selection=${selection} query=${query} id=${id} />`}</div>
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
  { name: "time", cell: (letter) => html`<${LetterLink} letter=${letter} query=${query} />` },
  { name: "reason", cell: ({ reason }) => html`<${State} tone="dead">${inert(reason)}<//>` },
  { name: "property", cell: ({ property, dialect }) => html`${inert(property)} <span class="muted">${dialect}</span>` },
  { name: "size", isNumber: true, cell: (letter) => bytes(letter.bytes) },
  { name: "redriven", cell: ({ redriven }) => (redriven ? html`<${State} tone="ok" shape="✓">yes<//>` : "–") },
];

const NO_CHOICE = { sink: "", from: "", to: "", where: "", name: "", dead_letters: false };

/** The value of a `datetime-local` control that is read as UTC. Exact: other times are another replay, which sends again. */
export const toControl = (ms) => (ms == null ? "" : new Date(ms).toISOString().slice(0, 23));
export const fromControl = (text) => (text ? Date.parse(`${text}Z`) : null);

export function Replay() {
  const jobs = useJobs();
  const [form, set] = useState(NO_CHOICE);
  const change = (changes) => set((old) => ({ ...old, ...changes }));
  useEffect(() => change({ from: toControl(nodeNow() - HOUR_MS) }), [useCell(skew)]);
  const again = ({ request: { from, to, where, ...rest } }) =>
    change({ ...rest, from: toControl(from), to: toControl(to), where: where.join("\n") });
  return html`
    <h1>Replay</h1>
    <div class="halves">
      <section><h2>Which events, where to</h2>
        <${Form} form=${form} change=${change} />
        <${Planned} key=${JSON.stringify(form)} ask=${() => post("/api/replay/preview", requestOf(form))} label="Dry run" isOff=${!form.sink}
          pairs=${replayed} act=${({ events, already_sent: sent }) => events > sent && `Replay ${plural(events - sent, "event")} to ${form.sink}`}
          after=${() => html`<p role="status"><${State} tone="ok" shape="✓">started: see its progress under Jobs<//></p>`} />
      </section>
      <section><h2>Jobs</h2>
        <${Failure} error=${jobs.error} retry=${jobs.reload} />
        ${jobs.list.length ? html`<${JobsList} jobs=${jobs.list} again=${again} />` : !jobs.error && html`<${Note}>No job yet.<//>`}
      </section>
    </div>
  `;
}

/** `total`: the number of letters in the selection, or a part of it. `onEnd` is called when a redrive is over. */
function Redrive({ selection, total, isPart, onEnd }) {
  if (!total && !isPart) return null;
  return html`<section class="action">
    <h2>Redrive</h2>
    <p class="muted">Letters that pass today's rules are stored as events. The letters stay.</p>
    <${Planned} ask=${() => post("/api/redrive/preview", { selection })} label="Preview redrive of ${count(total)}${isPart ? " or more" : ""}"
      pairs=${redriven}
      act=${({ would_pass, events }) => would_pass > 0 && `Redrive ${events == null ? plural(would_pass, "letter") : plural(events, "event")}`}
      after=${(id) => html`<${Redriven} id=${id} onEnd=${onEnd} />`} />
  </section>`;
}

/** A preview on demand, as `pairs(plan)`, then the button that starts it, named by `act(plan)`, then the job, as `after(id)`. */
function Planned({ ask, label, isOff, pairs, act, after }) {
  const preview = useAction(ask);
  const start = useAction((plan) => post("/api/jobs", { plan }));
  const plan = preview.data;
  return html`
    <p><${ActionButton} kind="" isBusy=${preview.isBusy || isOff} onClick=${() => (start.clear(), preview.run())}>
      ${preview.isBusy ? "Reading …" : label}<//></p>
    <${Failure} error=${preview.error} />
    <div role="status">${plan && html`<${Pairs} pairs=${[...pairs(plan), ["holds until", html`<${Time} ms=${plan.expires_ms} />`]]} />`}</div>
    ${plan && !start.data && (act(plan)
      ? html`<p><${ActionButton} isBusy=${start.isBusy} onClick=${() => start.run(plan.plan)}>${act(plan)}<//></p>`
      : html`<${Note}>There is nothing to send.<//>`)}
    <${Failure} error=${start.error} />
    ${start.data && after(start.data.job)}
  `;
}

function Redriven({ id, onEnd }) {
  const jobs = useJobs().list.filter((job) => job.id === id);
  const isOver = jobs[0] && jobs[0].state !== "running";
  useEffect(() => void (isOver && onEnd()), [isOver]);
  return html`<${JobsList} jobs=${jobs} />`;
}

const replayed = ({ events, bytes: size, already_sent }) => [
  ["events", count(events)],
  ["size", bytes(size)],
  ["sent by an earlier run, left out", already_sent ? count(already_sent) : null],
];
const redriven = ({ would_pass, events, redriven_before, still_refused, unknown, of_sinks }) => [
  ["would pass now", would_pass ? html`<${State} tone="ok" shape="✓">
    ${plural(would_pass, "letter")}${events != null && `, ${plural(events, "event")}`}<//>` : "none"],
  ["redriven before, left out", redriven_before ? count(redriven_before) : null],
  ...Object.entries(still_refused).map(([reason, letters]) => [html`still refused: ${inert(reason)}`, count(letters)]),
  ["of a property that was removed", unknown ? count(unknown) : null],
  ["refused by a sink: Replay sends them there again", of_sinks ? count(of_sinks) : null],
];

const requestOf = ({ sink, from, to, where, name, dead_letters }) => ({
  sink, from: fromControl(from), to: fromControl(to), where: where.split("\n").map((line) => line.trim()).filter(Boolean), name, dead_letters,
});

function Form({ form, change }) {
  const { sinks } = useCell(node);
  const text = (name) => html`<${TextBox} value=${form[name]} onInput=${(value) => change({ [name]: value })} />`;
  const time = (name) => html`<${TextBox} type="datetime-local" step="0.001" value=${form[name]} onChange=${(value) => change({ [name]: value })} />`;
  return html`<${Controls} kind="stack">
    <${Field} label="sink"><${Select} value=${form.sink} options=${[["", "choose"], ...plain(sinks)]} onChange=${(sink) => change({ sink })} /><//>
    <div class="two"><${Field} label="from (UTC)">${time("from")}<//><${Field} label="to (UTC)" hint="empty: now">${time("to")}<//></div>
    <${Field} label="where" hint="One condition a line, such as prop_id=2 or ec=home page; all must hold.">
      <textarea rows="2" maxlength="2000" spellcheck="false" autocomplete="off" value=${form.where}
        onInput=${(event) => change({ where: event.currentTarget.value })}></textarea><//>
    <${Field} label="name" hint="The same sink, times, conditions and name are the same replay, which sends each event once.">${text("name")}<//>
    <${Check} label="only events that this sink refused" isOn=${form.dead_letters} onChange=${(dead_letters) => change({ dead_letters })} />
  <//>`;
}

const STATES = { running: ["accent", "→"], done: ["ok", "✓"], failed: ["bad", "▲"], stopped: ["warn", "◆"] };

/** `{list, error, reload}`: the jobs, each with what the stream said of it last. */
function useJobs() {
  const { data, error, reload } = useApi("/api/jobs");
  const updates = useCell(jobUpdates);
  const known = data?.jobs ?? [];
  const hasNew = data && Object.keys(updates).some((id) => !known.some((job) => job.id === id));
  useEffect(() => void (hasNew && reload()), [hasNew, Object.keys(updates).length]);
  const list = known.map((job) => (updates[job.id] && job.state === "running" ? { ...job, ...updates[job.id] } : job));
  return { list, error, reload };
}

/** The jobs; `again(job)`, if it is given, starts from the request of one. */
const JobsList = ({ jobs, again }) =>
  html`<ul class="plain jobs">${jobs.map((job) => html`<li key=${job.id}><${Job} job=${job} again=${again} /></li>`)}</ul>`;

function Job({ job, again }) {
  const stop = useAction(() => remove(`/api/jobs/${encodeURIComponent(job.id)}`));
  const [tone, shape] = STATES[job.state] ?? ["muted", "·"];
  const isRunning = job.state === "running";
  const share = job.total ? job.done / job.total : 0;
  return html`
    <p><${State} tone=${tone} shape=${shape}>${job.state}<//> <b>${inert(job.title ?? job.kind)}</b>
      ${" "}<span class="muted"><${Time} ms=${job.started_ms} isWhole /></span></p>
    ${isRunning && html`<p class="progress">
      <progress max="1" value=${share} aria-label="progress of ${job.kind}"></progress> ${percent(share)}</p>`}
    <p>${count(job.done)} of ${count(job.total)}${job.exit_code != null && job.state !== "done" && html` · exit code ${job.exit_code}`}
      ${job.message && html` · ${inert(job.message)}`}</p>
    <p class="buttons">
      ${isRunning && html`<${ActionButton} isBusy=${stop.isBusy} onClick=${stop.run}>Stop<//>
        <small class="muted">What is done stays done.</small>`}
      ${!isRunning && again && job.kind === "replay" && html`<button type="button" onClick=${() => again(job)}>
        Run again with the same times</button>`}</p>
    <${Failure} error=${stop.error} />`;
}
