/** Now: whether this node is well. */
import { html } from "./preact.js";
import { useSeries } from "./api.js";
import { Chart } from "./chart.js";
import { AllWell, Details, Failure, Note, Pairs, Skeleton, State, Table, staleness, useAge } from "./parts.js";
import { nodeNow, now, useCell } from "./state.js";
import { UNKNOWN, bytes, count, duration, milliseconds, percent, plural, rate } from "./text.js";
import { inert } from "./value.js";

const CHARTS = [
  { title: "Events in", format: rate, lines: [["received", "received", "accent"], ["stored", "stored", "ok"]] },
  {
    title: "Not stored",
    format: rate,
    lines: [["rejected", "rejected", "warn"], ["shed", "shed", "dead"], ["duplicate", "duplicate", "accent"]],
  },
  { title: "Request time", format: milliseconds, lines: [["request_p50", "p50", "accent"], ["request_p99", "p99", "warn"]] },
  { title: "Commit time", format: milliseconds, lines: [["commit_p50", "p50", "accent"], ["commit_p99", "p99", "warn"]] },
  { title: "Events out", format: rate, lines: [["delivered", "delivered", "ok"]] },
  { title: "Waiting for sinks", format: count, lines: [["pending", "events", "warn"]] },
  { title: "Pressure", format: percent, least: 1, lines: [["pressure", "of the limit", "accent"]] },
  { title: "Disk free", format: bytes, lines: [["disk_free", "free", "accent"]] },
].map((chart) => ({ ...chart, lines: chart.lines.map(([name, label, tone]) => ({ name, label, tone })) }));
const NAMES = CHARTS.flatMap(({ lines }) => lines.map(({ name }) => name));
const HOUR_S = 3600;

export function Now() {
  const sample = useCell(now);
  const stale = staleness(useAge(sample));
  return html`
    <h1>Now</h1>
    ${sample ? html`<${Banner} sample=${sample} stale=${stale} /><${Tiles} sample=${sample} stale=${stale} />`
      : html`<${Skeleton} rows=${3} />`}
    <${Charts} started=${sample?.started_ms} nowMs=${sample?.now_ms} />
    ${sample && html`<div class="halves">
      <section><h2>Workers</h2><${Workers} workers=${sample.workers} /></section>
      <section><h2>Sinks</h2><${Sinks} sinks=${sample.sinks} /></section>
      <section><h2>Refused and shed, by code</h2><${Codes} codes=${sample.codes} /></section>
    </div>`}
  `;
}

const isFresh = ({ age_ms }) => !staleness(age_ms ?? 0);
/** Nobody ships a shard that no worker holds, such as that of redrives, once nothing is left in it. */
const isShipped = ({ state, lag_events }) => state === "not running" && lag_events === 0;
const isWell = (sink) => sink.state === "up" || isShipped(sink);

export function verdict({ ready, reason, workers, sinks }) {
  const away = workers.filter((worker) => !worker.ready || !isFresh(worker)).length;
  const down = new Set(sinks.filter((sink) => !isWell(sink) || !isFresh(sink)).map(({ name }) => name)).size;
  const sinksText = down ? `${plural(down, "sink")} ${down === 1 ? "is" : "are"} not up.` : "";
  const awayText = `${away} of ${plural(workers.length, "worker")} ${away === 1 ? "does" : "do"} not take events.`;
  if (!ready) return ["bad", `Not ready: ${reason ?? "no worker takes events"}. ${sinksText}`];
  if (away) return ["warn", `Ready, but ${awayText} ${sinksText}`];
  if (down) return ["warn", `Ready: all workers acknowledge. ${sinksText}`];
  return ["ok", "Ready: all workers acknowledge, all sinks are up."];
}

function Banner({ sample, stale }) {
  const silent = ["bad", `The admin process is silent: ${stale}. The values below are from before.`];
  const [tone, text] = stale ? silent : verdict(sample);
  return html`<p class="banner ${tone}"><${State} tone=${tone}>${text}<//></p>`;
}

const FULL = { unknown: UNKNOWN, level: "not in sight", full: "full" };

function Tiles({ sample, stale }) {
  const { values, disk, started_ms, now_ms } = sample;
  const tiles = [
    ["in", rate(values.received)],
    ["stored", rate(values.stored)],
    ["refused", rate(values.rejected)],
    ["shed", rate(values.shed)],
    ["duplicates", rate(values.duplicate)],
    ["delivered", rate(values.delivered)],
    ["request p50 · p99", `${milliseconds(values.request_p50)} · ${milliseconds(values.request_p99)}`],
    ["commit p50 · p99", `${milliseconds(values.commit_p50)} · ${milliseconds(values.commit_p99)}`],
    ["pressure", percent(values.pressure)],
    ["disk free", bytes(disk?.free)],
    ["disk full in", FULL[disk?.full_state] ?? (disk?.full_in_s == null ? FULL.level : duration(disk.full_in_s))],
    ["up for", duration((now_ms - started_ms) / 1000)],
  ];
  return html`<dl class=${stale ? "tiles stale" : "tiles"}>
    ${tiles.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Charts({ started, nowMs }) {
  const { series, error } = useSeries(NAMES, HOUR_S);
  if (error) return html`<${Failure} error=${error} />`;
  if (!series) return html`<div class="charts">${CHARTS.map(() => html`<div class="chart" aria-hidden="true"></div>`)}</div>`;
  const age = nowMs && started ? (nowMs - started) / 1000 : HOUR_S;
  return html`<h2>The last hour</h2>${age < HOUR_S && html`<p class="muted">The collector started ${duration(age)} ago.</p>`}
    <div class="charts">${CHARTS.map((chart) => html`<${Chart} key=${chart.title} ...${chart} series=${series} />`)}</div>`;
}

const WORKER_COLUMNS = [
  { name: "worker", cell: ({ place, pid }) => html`<b>${place}</b> <span class="muted">pid ${pid ?? "–"}</span>` },
  { name: "state", cell: (worker) => stateOf(worker, worker.ready ? ["ok", "ready"] : ["bad", worker.reason ?? "not ready"]) },
  { name: "shard", cell: ({ shard }) => (shard ? html`<a href="/log/${encodeURIComponent(shard)}">${shard}</a>` : "–") },
  { name: "cpu", label: "CPU", isNumber: true, cell: ({ cpu }) => percent(cpu) },
  { name: "memory", isNumber: true, cell: ({ memory }) => bytes(memory) },
  { name: "up", isNumber: true, cell: ({ started_ms }) => (started_ms ? duration((nodeNow() - started_ms) / 1000) : "–") },
  { name: "restarts", isNumber: true, cell: ({ restarts }) => count(restarts) },
];

function stateOf(each, known) {
  const stale = staleness(each.age_ms ?? 0);
  const [tone, word] = stale ? ["bad", stale] : known;
  return html`<${State} tone=${tone}>${word}<//>`;
}

const Workers = ({ workers }) =>
  html`<${Table} caption="Workers" columns=${WORKER_COLUMNS} rows=${workers} rowKey=${({ place }) => place} />`;

const since = (ms) => (ms ? ` for ${duration((nodeNow() - ms) / 1000)}` : "");

function lagOf({ lag_events, lag_bytes, lag_seconds }) {
  if (!lag_events) return count(lag_events);
  return html`${count(lag_events)} <span class="muted">${bytes(lag_bytes)}, ${duration(lag_seconds)}</span>`;
}

function wordOf(sink) {
  if (isShipped(sink)) return ["ok", "nothing left"];
  return isWell(sink) ? ["ok", sink.state] : ["warn", `${sink.state}${since(sink.since_ms)}`];
}

const SINK_COLUMNS = [
  { name: "sink", cell: ({ name, shard }) => html`<b>${inert(name)}</b> <span class="muted">shard ${shard}</span>` },
  { name: "state", cell: (sink) => stateOf(sink, wordOf(sink)) },
  { name: "lag", isNumber: true, cell: lagOf },
  { name: "error", label: "last error", cell: ({ error }) => (error ? html`<${Details} label="why">${inert(error)}<//>` : "–") },
];

const Sinks = ({ sinks }) =>
  sinks.length
    ? html`<${Table} caption="Sinks" columns=${SINK_COLUMNS} rows=${sinks} rowKey=${({ name, shard }) => `${name} ${shard}`} />`
    : html`<${Note}>There is no sink in the settings: the log keeps events for log.retain_hours.<//>`;

function Codes({ codes }) {
  const found = Object.entries(codes ?? {}).filter(([, value]) => value > 0).sort(([, one], [, other]) => other - one);
  if (!found.length) return html`<${AllWell}>nothing is refused now<//>`;
  return html`<${Pairs} pairs=${found.map(([code, value]) => [html`<code>${code}</code>`, rate(value)])} />`;
}
