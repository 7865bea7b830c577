/** Redrives and replays that run or ran. */
import { html, useEffect } from "./preact.js";
import { remove, useAction, useApi } from "./api.js";
import { ActionButton, Failure, State, Time } from "./parts.js";
import { jobUpdates, useCell } from "./state.js";
import { count, percent } from "./text.js";
import { Text } from "./value.js";

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
    <p><${State} tone=${tone} shape=${shape}>${job.state}<//> <b><${Text} value=${job.title ?? job.kind} /></b> <span class="muted"><${Time} ms=${job.started_ms} isWhole /></span></p>
    ${isRunning && html`<p class="progress"><progress max="1" value=${share} aria-label="progress of ${job.kind}"></progress> ${percent(share)}</p>`}
    <p>${count(job.done)} of ${count(job.total)}${job.exit_code != null && job.state !== "done" && html` · exit code ${job.exit_code}`}
      ${job.message && html` · <${Text} value=${job.message} />`}</p>
    <p class="buttons">${isRunning && html`<${ActionButton} isBusy=${stop.isBusy} onClick=${stop.run}>Stop<//> <small class="muted">What is done stays done.</small>`}
    ${!isRunning && again && job.kind === "replay" && html`<button type="button" onClick=${() => again(job)}>Run again with the same times</button>`}</p>
    <${Failure} error=${stop.error} />`;
}
