/** Live: what arrives, newest first, and one event beside it. */
import { html, useEffect, useRef } from "./preact.js";
import { useSeries } from "./api.js";
import { Bars, buckets } from "./chart.js";
import { EventPanel } from "./event.js";
import { Command, Dialog, Failure, Skeleton, State, Time } from "./parts.js";
import { go, route, useKeys } from "./router.js";
import { COLUMNS, ID, KIND, TIME } from "./row.js";
import { rows } from "./rows.js";
import { Filters, filtersOf, useLiveStream, useSearch } from "./sources.js";
import { connection, node, useCell, useNarrow } from "./state.js";
import { address, count, coverageText, percent, plural, rate } from "./text.js";
import { VIEW } from "./try.js";

export function Live({ query }) {
  const filters = filtersOf(query);
  const at = timeOf(query.at);
  const isSearch = query.search === "1";
  const live = useLiveStream(filters, !isSearch);
  const search = useSearch(isSearch, filters, at && at + BAR_MS);
  const list = useCell(rows.state);
  useBar(at, JSON.stringify([isSearch, filters]), isSearch || live.isCaughtUp);
  useOpened(query.event);
  useLiveKeys(query);
  const open = (row) => openRow(row, query.event);
  const row = query.event ? rows.find(idOf(query.event)) : withoutId(list.chosen && rows.chosenRow());
  return html`
    <h1 class="unseen">Live</h1>
    <div class="bar">
      <${Filters} filters=${filters} change=${(name, value) => change({ [name]: value })} />
      <${Pause} list=${list} isSearch=${isSearch} />
    </div>
    ${isSearch ? html`<${Progress} search=${search} />` : html`<${Coverage} live=${live} />`}
    <${LiveBars} chosenMs=${at} choose=${(ms) => change({ at: ms === at ? "" : ms, search: "" })} />
    ${at && html`<p class="chips"><button type="button" class="small" onClick=${() => change({ at: "" })}>
      <${Time} ms=${at} /> and 4 s more <span aria-hidden="true">×</span><span class="unseen">, show all times again</span></button></p>`}
    <${Gap} gap=${live.gap} />
    <div class=${query.event || row ? "split" : "split whole"}>
      <div class="list-and-more">
        <${List} open=${open} />
        <${Below} list=${list} live=${live} search=${search} isSearch=${isSearch} filters=${filters} at=${at} />
      </div>
      <${Panel} id=${query.event} row=${row} />
    </div>
  `;
}

/** Change a part of the address as it is now, which may be newer than what was drawn. */
const change = (changes, options) => go(address("/live", { ...route.get().query, ...changes }), options);

/** A time in the address; null for none, and for one that no date can be. */
const timeOf = (text) => (text > 0 && text < 8e15 ? Number(text) : null);

/** The id of an open event, or of an open dead letter: `dead:ID`. */
const idOf = (opened) => opened?.replace(/^dead:/, "");

const withoutId = (row) => (row && row[ID] == null ? row : null);

/** Open a row beside the list. What has an id is in the address; the rest only in the list. */
function openRow(row, opened) {
  rows.choose(row);
  const event = row[KIND] === "dead" && row[ID] ? `dead:${row[ID]}` : row[ID];
  change({ event }, { replace: Boolean(opened) });
}

function close() {
  rows.unchoose();
  change({ event: "" });
}

/** Show the rows of a bar in a list that holds still, once they are there. `key`: what clears the list. */
function useBar(at, key, isThere) {
  useEffect(() => {
    if (at == null) return undefined;
    rows.filter((row) => row[TIME] >= at && row[TIME] < at + BAR_MS);
    return () => rows.filter(null);
  }, [at, key]);
  useEffect(() => void (at != null && isThere && rows.pause()), [at, key, isThere]);
}

/** After Back another event is open, or none: then the row of the last one is not chosen any more. */
function useOpened(opened) {
  useEffect(() => {
    const id = rows.chosenRow()?.[ID];
    if (id != null && id !== idOf(opened)) rows.unchoose();
  }, [opened]);
}

function useLiveKeys(query) {
  const step = (by) => () => {
    const row = rows.step(by);
    if (row && query.event) openRow(row, query.event);
  };
  useKeys({
    " ": () => rows.toggle(),
    p: () => rows.toggle(),
    j: step(1),
    k: step(-1),
    "[": step(1),
    "]": step(-1),
    Enter: () => rows.chosenRow() && openRow(rows.chosenRow(), query.event),
    Escape: () => (query.event || rows.state.get().chosen) && close(),
    x: () => go("/live"),
    "/": () => (document.getElementById("filter-q") ?? document.getElementById("open-filters"))?.focus(),
    c: () => document.getElementById("copy-curl")?.click(),
    y: () => document.getElementById("copy-link")?.click(),
  });
}

function Pause({ list, isSearch }) {
  if (isSearch) return html`<button type="button" class="pause" onClick=${() => change({ search: "", at: "" })}>▶ Back to live</button>`;
  return html`<button type="button" class="pause" aria-pressed=${String(list.isPaused)} onClick=${() => rows.toggle()}>
    ${list.isPaused ? "▶ Go on" : "‖ Pause"}</button>`;
}

function Coverage({ live }) {
  const { state } = useCell(connection);
  const isNarrow = useNarrow();
  const away = state === "connecting" ? "connecting" : "not connected: the list is as it was";
  const { matched, shown } = live.backlog ?? {};
  const begin = matched > shown ? ` · began with the newest ${count(shown)} of ${count(matched)}` : "";
  const text = state !== "open" ? away : (live.coverage ? coverageText(live.coverage) : "listening") + begin;
  const [first, ...rest] = text.split(" · ");
  if (!isNarrow || !rest.length) return html`<p class="coverage">${text}</p>`;
  return html`<details class="coverage"><summary>${first}</summary>${rest.join(" · ")}</details>`;
}

function Progress({ search }) {
  const share = search.next === null ? 1 : search.read / (search.read + search.left || 1);
  return html`<p class="coverage" role="status">
    Search of the log: ${count(search.found)} found${search.backTo && html`, back to <${Time} ms=${search.backTo} isWhole />`}, ${percent(share)} read
    ${search.isRunning ? html` <button type="button" class="small" onClick=${search.stop}>Stop</button>`
      : !search.next ? " · this is all" : rows.isFull ? " · the list is full: narrow the filters"
      : html` <button type="button" class="small" onClick=${search.goOn}>Search on</button>`}
    ${search.lost > 0 && html` · <${State} tone="bad" shape="✚">${plural(search.lost, "event")} can't be read any more<//>`}
  </p><${Failure} error=${search.error} retry=${search.goOn} />`;
}

const GAPS = {
  resume: "while this tab was away",
  slow: "because this browser was slow to read",
  restart: "while the admin process restarted",
};

const Gap = ({ gap }) =>
  gap && html`<p class="note warn" role="status">
    ${gap.missed == null ? "Some" : count(gap.missed)} rows were not shown ${GAPS[gap.reason] ?? ""}: search the log for them.</p>`;

/** The table. Its rows are no business of Preact's. */
function List({ open }) {
  const scroller = useRef(null);
  const sizer = useRef(null);
  const opener = useRef(open);
  opener.current = open;
  const { count } = useCell(rows.state);
  useEffect(() => rows.attach(scroller.current, sizer.current, (row) => opener.current(row)), []);
  return html`<div class="list" role="table" aria-label="Events, newest first" aria-rowcount=${count + 1} aria-colcount="8">
    <div role="rowgroup" class="list-head"><div role="row" aria-rowindex="1">
      ${COLUMNS.map((name) => html`<span role="columnheader" class="cell ${name}">${name}</span>`)}
    </div></div>
    <div role="rowgroup" class="scroller" tabindex="0" aria-label="rows" ref=${scroller}>
      <div class="sizer" role="presentation" ref=${sizer}></div></div>
  </div>`;
}

function Below({ list, live, search, isSearch, filters, at }) {
  const waits = !isSearch && list.waiting > 0;
  if (waits) {
    return html`<button type="button" class="waiting" onClick=${() => (change({ event: "", at: "" }), rows.resume())}>
      ↑ ${count(list.waiting)} new ${list.isPaused ? "while paused" : ""}</button>`;
  }
  if (list.count > 0) return null;
  if (isSearch) return !search.isRunning && html`<div class="empty"><p>Nothing in the log matches.</p></div>`;
  if (!live.isGreeted) return html`<div class="empty"><${Skeleton} rows=${8} /></div>`;
  const isFiltered = Object.keys(filters).length > 0 || at;
  return isFiltered ? html`<${NoMatch} live=${live} at=${at} />` : html`<${NoEvent} />`;
}

function NoMatch({ live, at }) {
  const { rows, searched } = live.backlog ?? {};
  const none = searched < rows ? `None matches so far: ${count(searched)} of the last ${count(rows)} were searched.`
    : `None of the last ${count(live.ring)} match.`;
  return html`<div class="empty">
    <p>${at ? "This page holds no row of that time that matches." : none}</p>
    <p><button type="button" onClick=${() => change({ search: "1" })}>Search the log</button></p>
  </div>`;
}

function NoEvent() {
  const { event_url, properties } = useCell(node);
  if (!properties.length) return html`<div class="empty"><p>No event yet, and no property in the settings that could take one.</p></div>`;
  const [portal_id, prop_id] = properties[0].property.split("/");
  const url = address(event_url, { portal_id, prop_id, resp_type: "json" });
  const command = `curl '${url}' -H 'content-type: application/json' -d '${JSON.stringify(VIEW)}'`;
  return html`<div class="empty"><p>No event yet. Send one, or <a href="/try">use Try</a>:</p><${Command} text=${command} /></div>`;
}

function Panel({ id, row }) {
  const isNarrow = useNarrow();
  if (!id && !row) return null;
  const panel = html`<${EventPanel} id=${id} row=${row} />`;
  if (isNarrow) return html`<${Dialog} label="Event" kind="sheet" onClose=${close}>${panel}<//>`;
  return html`<aside class="panel" aria-label="Event">
    <button type="button" class="small close" onClick=${close} aria-label="Close the event">✕</button>${panel}</aside>`;
}

const STEP_S = 5;
const BAR_MS = STEP_S * 1000;
const NAMES = ["stored", "rejected", "shed"];
const SECONDS = 300;

function LiveBars({ chosenMs, choose }) {
  const { series } = useSeries(NAMES, SECONDS);
  if (!series) return html`<div class="both-bars" aria-hidden="true"></div>`;
  const firstMs = Math.ceil(series.first_ms / BAR_MS) * BAR_MS;
  const from = Math.round((firstMs - series.first_ms) / 1000 / series.step_s);
  const barsOf = (list) => wholeBars(list.slice(from), STEP_S / series.step_s);
  const { stored, rejected, shed } = series.values;
  const refused = rejected.map((value, at) => (value == null ? null : value + (shed[at] ?? 0)));
  const shared = { firstMs, stepS: STEP_S, format: rate, chosenMs, choose };
  return html`<div class="both-bars" role="group" aria-label="The last 5 minutes, in bars of 5 seconds">
    <${Bars} label="stored" tone="accent" values=${barsOf(stored)} ...${shared} />
    <${Bars} label="refused" tone="warn" values=${barsOf(refused)} ...${shared} />
  </div>`;
}

/** Bars that begin at whole steps; the newest may be of less than a step. */
const wholeBars = (list, size) => {
  const rest = list.length % size;
  const whole = buckets(rest ? list.slice(0, -rest) : list, size);
  return rest ? [...whole, ...buckets(list.slice(-rest), rest)] : whole;
};
