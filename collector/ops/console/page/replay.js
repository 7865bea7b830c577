/** Replay: send a window of the log to a sink again. */
import { html, useState } from "./preact.js";
import { post, useAction } from "./api.js";
import { JobsList, useJobs } from "./jobs.js";
import { ActionButton, Failure, Field, Note, Select, State, Time } from "./parts.js";
import { node, useCell } from "./state.js";
import { Pairs } from "./table.js";
import { bytes, count, plural } from "./text.js";

const HOUR_MS = 3_600_000;

/** The value of a `datetime-local` control that is read as UTC. */
export const toControl = (ms) => (ms == null ? "" : new Date(ms).toISOString().slice(0, 19));
export const fromControl = (text) => (text ? Date.parse(`${text}Z`) : null);

export function Replay() {
  const jobs = useJobs();
  const [form, set] = useState(() => ({ sink: "", from: toControl(Date.now() - HOUR_MS), to: "", where: "", name: "", dead_letters: false }));
  const dry = useAction(() => post("/api/replay/preview", requestOf(form)));
  const start = useAction((plan) => post("/api/jobs", { plan }));
  function change(changes) {
    set({ ...form, ...changes });
    dry.clear();
    start.clear();
  }
  const again = ({ request }) => change({ ...request, from: toControl(request.from), to: toControl(request.to), where: request.where.join(" ") });
  return html`
    <h1>Replay</h1>
    <div class="halves">
      <section><h2>Which events, where to</h2>
        <${Form} form=${form} change=${change} />
        <p><${ActionButton} kind="" isBusy=${dry.isBusy || !form.sink} onClick=${() => (start.clear(), dry.run())}>${dry.isBusy ? "Reading …" : "Dry run"}<//></p>
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
  const text = (name, rest) => html`<input type="text" value=${form[name]} maxlength="200" autocomplete="off" spellcheck="false" onInput=${(event) => change({ [name]: event.currentTarget.value })} ...${rest} />`;
  const time = (name) => html`<input type="datetime-local" step="1" value=${form[name]} onChange=${(event) => change({ [name]: event.currentTarget.value })} />`;
  return html`<form class="stack" onSubmit=${(event) => event.preventDefault()}>
    <${Field} label="sink"><${Select} value=${form.sink} options=${[["", "choose"], ...sinks.map((each) => [each, each])]} onChange=${(sink) => change({ sink })} /><//>
    <div class="two"><${Field} label="from (UTC)">${time("from")}<//><${Field} label="to (UTC)" hint="empty: now">${time("to")}<//></div>
    <${Field} label="where" hint="conditions such as prop_id=2 source=pos; all must hold">${text("where")}<//>
    <${Field} label="name" hint="Another name makes another replay: events that a replay of the same name sent are left out.">${text("name")}<//>
    <label class="check"><input type="checkbox" checked=${form.dead_letters} onChange=${(event) => change({ dead_letters: event.currentTarget.checked })} /> only events that this sink refused</label>
  </form>`;
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
