/** Replay: send a window of the log to a sink again. And the jobs, those of redrives, too. */
import { html, useEffect, useState } from "./preact.js";
import { post, remove, useAction, useApi } from "./api.js";
import { ActionButton, Check, Controls, Failure, Field, Note, Pairs, Select, State, TextBox, Time, plain } from "./parts.js";
import { jobUpdates, node, useCell } from "./state.js";
import { bytes, count, percent, plural } from "./text.js";
import { inert } from "./value.js";

const NO_CHOICE = { sink: "", to: "", where: "", name: "", dead_letters: false };
const HOUR_MS = 3_600_000;

/** The value of a `datetime-local` control that is read as UTC. Exact: other times are another replay, which sends again. */
export const toControl = (ms) => (ms == null ? "" : new Date(ms).toISOString().slice(0, 23));
export const fromControl = (text) => (text ? Date.parse(`${text}Z`) : null);

export function Replay() {
  const jobs = useJobs();
  const [form, set] = useState(() => ({ ...NO_CHOICE, from: toControl(Date.now() - HOUR_MS) }));
  const dry = useAction(() => post("/api/replay/preview", requestOf(form)));
  const start = useAction((plan) => post("/api/jobs", { plan }));
  function change(changes) {
    set({ ...form, ...changes });
    dry.clear();
    start.clear();
  }
  function again({ request: { from, to, where, ...rest } }) {
    change({ ...rest, from: toControl(from), to: toControl(to), where: where.join(" ") });
  }
  return html`
    <h1>Replay</h1>
    <div class="halves">
      <section><h2>Which events, where to</h2>
        <${Form} form=${form} change=${change} />
        <p><${ActionButton} kind="" isBusy=${dry.isBusy || !form.sink} onClick=${() => (start.clear(), dry.run())}>
          ${dry.isBusy ? "Reading …" : "Dry run"}<//></p>
        <${Failure} error=${dry.error} />
        <div role="status">${dry.data && html`<${Preview} plan=${dry.data} />`}</div>
        ${dry.data && !start.data && html`<${Start} plan=${dry.data} sink=${form.sink} start=${start} />`}
        <${Failure} error=${start.error} />
        ${start.data && html`<p role="status"><${State} tone="ok" shape="✓">started: see its progress under Jobs<//></p>`}
      </section>
      <section><h2>Jobs</h2>
        <${Failure} error=${jobs.error} retry=${jobs.reload} />
        ${jobs.list.length ? html`<${JobsList} jobs=${jobs.list} again=${again} />` : !jobs.error && html`<${Note}>No job yet.<//>`}
      </section>
    </div>
  `;
}

const requestOf = ({ sink, from, to, where, name, dead_letters }) => ({
  sink, from: fromControl(from), to: fromControl(to), where: where.split(/\s+/).filter(Boolean), name, dead_letters,
});

function Form({ form, change }) {
  const { sinks } = useCell(node);
  const text = (name) => html`<${TextBox} value=${form[name]} onInput=${(value) => change({ [name]: value })} />`;
  const time = (name) => html`<${TextBox} type="datetime-local" step="0.001" value=${form[name]} onChange=${(value) => change({ [name]: value })} />`;
  return html`<${Controls} kind="stack">
    <${Field} label="sink"><${Select} value=${form.sink} options=${[["", "choose"], ...plain(sinks)]} onChange=${(sink) => change({ sink })} /><//>
    <div class="two"><${Field} label="from (UTC)">${time("from")}<//><${Field} label="to (UTC)" hint="empty: now">${time("to")}<//></div>
    <${Field} label="where" hint="conditions such as prop_id=2 source=pos; all must hold">${text("where")}<//>
    <${Field} label="name" hint="The same sink, times, conditions and name are the same replay, which sends each event once.">${text("name")}<//>
    <${Check} label="only events that this sink refused" isOn=${form.dead_letters} onChange=${(dead_letters) => change({ dead_letters })} />
  <//>`;
}

const Preview = ({ plan }) =>
  html`<${Pairs} pairs=${[
    ["events", count(plan.events)],
    ["size", bytes(plan.bytes)],
    ["sent by an earlier run, left out", plan.already_sent ? count(plan.already_sent) : null],
    ["the dry run holds until", html`<${Time} ms=${plan.expires_ms} />`],
  ]} />`;

function Start({ plan, sink, start }) {
  const left = plan.events - plan.already_sent;
  if (left <= 0) return html`<${Note}>There is nothing to send.<//>`;
  return html`<p><${ActionButton} isBusy=${start.isBusy} onClick=${() => start.run(plan.plan)}>Replay ${plural(left, "event")} to ${sink}<//></p>`;
}

const STATES = { running: ["accent", "→"], done: ["ok", "✓"], failed: ["bad", "▲"], stopped: ["warn", "◆"] };

/** `{list, error, reload}`: the jobs, each with what the stream said of it last. */
export function useJobs() {
  const { data, error, reload } = useApi("/api/jobs");
  const updates = useCell(jobUpdates);
  const known = data?.jobs ?? [];
  const hasNew = data && Object.keys(updates).some((id) => !known.some((job) => job.id === id));
  useEffect(() => void (hasNew && reload()), [hasNew, Object.keys(updates).length]);
  const list = known.map((job) => (updates[job.id] && job.state === "running" ? { ...job, ...updates[job.id] } : job));
  return { list, error, reload };
}

/** The jobs; `again(job)`, if it is given, starts from the request of one. */
export const JobsList = ({ jobs, again }) =>
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
