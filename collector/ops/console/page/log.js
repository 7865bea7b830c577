/** Log: the shards, their segments and how far each sink is in them. */
import { html } from "./preact.js";
import { useApi } from "./api.js";
import { Swatch } from "./chart.js";
import { Command, Failure, Note, Pairs, Skeleton, State, Table, Time, usePages } from "./parts.js";
import { eventPath, logPath } from "./router.js";
import { useNarrow } from "./state.js";
import { bytes, count, plural } from "./text.js";
import { inert } from "./value.js";

/** The colour of each state of a segment, its shape in the table and its height in the strip. */
const SEGMENT_STATES = { delivered: ["ok", "✓", 16], waits: ["warn", "◌", 12], open: ["accent", "●", 8] };
const STRIP_LEGEND = [["ok", "delivered"], ["warn", "waits for a sink"], ["muted", "kept, no sink"], ["accent", "open"], ["bad", "damaged"]];
const SEGMENTS_A_PAGE = 100;

export function Log({ parts: [name, segment] }) {
  const { data, error, isLoading, reload } = useApi("/api/shards");
  const shards = data?.shards ?? [];
  const shard = shards.find((each) => each.shard === name) ?? (name === undefined ? shards[0] : undefined);
  return html`
    <h1>Log</h1>
    <${Failure} error=${error} retry=${reload} />
    ${isLoading && html`<${Skeleton} />`}
    ${data && !shards.length && html`<${Note}>There is no log yet: the first event makes it.<//>`}
    ${data && shards.length > 0 && html`<div class="sides">
      <nav aria-label="Shards"><ul class="choices">
        ${shards.map((each) => html`<${ShardLink} key=${each.shard} shard=${each} isChosen=${each === shard} />`)}</ul></nav>
      <div>${shard ? html`<${Shard} key=${shard.shard} shard=${shard} number=${segment} />`
        : html`<${Note} tone="bad">There is no shard ${name} in the data folder.<//>`}</div>
    </div>`}
  `;
}

const ShardLink = ({ shard, isChosen }) =>
  html`<li><a href=${logPath(shard.shard)} aria-current=${isChosen ? "true" : undefined}>
    <b>shard ${shard.shard}</b> <span class="muted">${shard.worker == null ? "no worker" : `worker ${shard.worker}`}</span>
    <span class="muted">${bytes(shard.bytes)} · ${plural(shard.segments, "segment")}</span>
    ${shard.error && html`<${State} tone="bad">unreadable<//>`}
    ${shard.damaged_events > 0 && html`<${State} tone="bad" shape="✚">${count(shard.damaged_events)} lost<//>`}
  </a></li>`;

function Shard({ shard, number }) {
  if (shard.error) return html`<${Note} tone="bad">${inert(shard.error)}<//><${Verify} shard=${shard} />`;
  return html`
    <h2>Shard ${shard.shard}</h2>
    <${Pairs} pairs=${[
      ["log", html`<code>${inert(shard.log)}</code>`],
      ["next sequence", count(shard.next_sequence)],
      ["size", `${bytes(shard.bytes)} in ${plural(shard.segments, "segment")}`],
    ]} />
    <${Cursors} cursors=${shard.cursors} />
    ${shard.damaged_events > 0 && html`<${Damage} shard=${shard} />`}
    ${number === undefined ? html`<${Segments} shard=${shard} />` : html`<${OneSegment} shard=${shard} number=${Number(number)} />`}
  `;
}

const Damage = ({ shard }) =>
  html`<div class="note bad">
    <p><${State} tone="bad" shape="✚">${plural(shard.damaged_events, "event")} of this shard can't be read any more.<//>
      ${" "}damage.ndjson names them; quarantine/ keeps the bytes.</p>
    <${Verify} shard=${shard} /></div>`;

const Verify = ({ shard: { path } }) => path && html`<p>To check the files:</p><${Command} text=${`wal verify ${path}`} />`;

const CURSOR_COLUMNS = [
  { name: "sink", cell: ({ sink }) => html`<b>${inert(sink)}</b>` },
  { name: "state", cell: ({ state }) => html`<${State} tone=${state === "up" ? "ok" : "warn"}>${state}<//>` },
  { name: "next", label: "next sequence", isNumber: true, cell: ({ next_sequence }) => count(next_sequence) },
  { name: "behind", isNumber: true, cell: ({ behind }) => count(behind) },
];

const Cursors = ({ cursors }) =>
  cursors.length > 0 && html`<h3>Cursors</h3>
    <${Table} caption="Cursors" columns=${CURSOR_COLUMNS} rows=${cursors} rowKey=${({ sink }) => sink} />`;

function Segments({ shard }) {
  const path = `/api/shards/${encodeURIComponent(shard.shard)}/segments`;
  const { data, error, isLoading } = useApi(path, { limit: SEGMENTS_A_PAGE });
  const { pages, next, more, failure } = usePages(data, path, { limit: SEGMENTS_A_PAGE });
  const isNarrow = useNarrow();
  if (!data) return html`<${Failure} error=${error} />${isLoading && html`<${Skeleton} />`}`;
  const segments = pages.flatMap((page) => page.segments);
  return html`<h3>Segments</h3>
    ${!isNarrow && html`<${Strip} segments=${segments} />`}
    <${Table} caption="Segments, newest first" columns=${segmentColumns(shard)} rows=${segments} rowKey=${({ number }) => number} />
    <${Failure} error=${failure} />
    ${next != null && html`<p><button type="button" onClick=${more}>Older segments</button></p>`}`;
}

const sequencesOf = ({ first_sequence, last_sequence }) =>
  `${count(first_sequence)} – ${last_sequence == null ? "open" : count(last_sequence)}`;

const segmentColumns = ({ shard }) => [
  { name: "number", label: "segment", cell: ({ number }) => html`<a href=${logPath(shard, number)}><code>${String(number).padStart(10, "0")}</code></a>` },
  { name: "sequences", cell: sequencesOf },
  { name: "first", label: "from", cell: ({ first_ms }) => html`<${Time} ms=${first_ms} isWhole />` },
  { name: "last", label: "to", cell: ({ last_ms }) => html`<${Time} ms=${last_ms} />` },
  { name: "size", isNumber: true, cell: (segment) => bytes(segment.bytes) },
  { name: "state", cell: (segment) => html`<${SegmentState} segment=${segment} />` },
];

function SegmentState({ segment: { state, lost } }) {
  const [tone, shape] = SEGMENT_STATES[state] ?? ["muted", "·"];
  return html`<${State} tone=${tone} shape=${shape}>${state}<//>${lost > 0 && html` <${State} tone="bad" shape="✚">${count(lost)} lost<//>`}`;
}

/** The segments as one strip, the oldest at the left. The table below says the same. */
function Strip({ segments }) {
  const inOrder = segments.toReversed();
  const of = (name) => segments.filter(({ state }) => state === name).length;
  const damaged = segments.filter(({ lost }) => lost).length;
  const text = `${of("delivered")} delivered, ${of("waits")} wait, ${of("open")} open, ${damaged} with damage`;
  return html`<figure class="strip">
    <svg viewBox="0 0 ${inOrder.length} 16" preserveAspectRatio="none" role="img" aria-label=${text}>
      ${inOrder.map(({ number, state, lost }, at) => {
        const [tone, , height] = SEGMENT_STATES[state] ?? ["muted", "", 16];
        return html`<rect key=${number} class=${lost ? "bad" : tone} x=${at + 0.04} y=${16 - height} width="0.92" height=${height} />`;
      })}
    </svg>
    <figcaption class="legend">${STRIP_LEGEND.map(([tone, word]) => html`<span><${Swatch} tone=${tone} /> ${word}</span>`)}</figcaption>
  </figure>`;
}

function OneSegment({ shard, number }) {
  const { data, error, isLoading } = useApi(`/api/shards/${encodeURIComponent(shard.shard)}/segments`, { after: number + 1, limit: 1 });
  const segment = data?.segments.find((each) => each.number === number);
  const back = html`<p><a href=${logPath(shard.shard)}>all segments of shard ${shard.shard}</a></p>`;
  if (!segment) {
    return html`${back}<${Failure} error=${error} />${isLoading && html`<${Skeleton} />`}
      ${data && html`<${Note}>Segment ${number} is not in the log: it was dropped after every sink had it, or never existed.<//>`}`;
  }
  return html`${back}<h3>Segment ${number}</h3>
    <${Pairs} pairs=${[
      ["file", html`<code>${inert(segment.file)}</code>`],
      ["sequences", sequencesOf(segment)],
      ["from", html`<${Time} ms=${segment.first_ms} isWhole />`],
      ["to", html`<${Time} ms=${segment.last_ms} isWhole />`],
      ["size", bytes(segment.bytes)],
      ["state", html`<${SegmentState} segment=${segment} />`],
      ["first event", html`<a href=${eventPath(`${shard.log}-${segment.first_sequence}`)}>${shard.log}-${segment.first_sequence}</a>`],
    ]} />
    ${segment.damage.length > 0 && html`<h3>Damage</h3>
      <${Table} caption="Damage" columns=${DAMAGE_COLUMNS} rows=${segment.damage} rowKey=${({ offset }) => offset} />`}`;
}

const DAMAGE_COLUMNS = [
  { name: "offset", label: "at byte", cell: ({ offset }) => count(offset) },
  { name: "sequences", label: "lost sequences", cell: sequencesOf },
  { name: "message", label: "cause", cell: ({ message }) => inert(message) },
];
