/** One event: what was sent, the record around it, and what each sink did with it. */
import { html } from "./preact.js";
import { useApi } from "./api.js";
import { LetterView } from "./letter.js";
import { useMore } from "./more.js";
import { Copy, Failure, Kind, Note, Skeleton, State, Tabs, Time } from "./parts.js";
import { deadPath, eventPath } from "./router.js";
import { CODE, EA, EC, ID, KIND, PROPERTY, SOURCE, TIME, UID, warningsOf } from "./row.js";
import { useNarrow } from "./state.js";
import { Pairs } from "./table.js";
import { bytes, count } from "./text.js";
import { Cut, Json, Text, parseExactly } from "./value.js";

const SINK_STATES = {
  delivered: ["ok", "✓", "delivered"],
  pending: ["muted", "◌", "waits"],
  in_flight: ["accent", "→", "on its way"],
  refused: ["dead", "✚", "refused"],
};

/** The page `/event/ID`. */
export const EventPage = ({ parts: [id = ""] }) => html`<div class="one"><h1>Event</h1><${EventView} key=${id} id=${id} /></div>`;

/** Beside the live list: an event, a dead letter (`dead:ID`), or the row alone where nothing more is kept. */
export function EventPanel({ id, row }) {
  if (!id) return html`<${RowOnly} row=${row} />`;
  if (id.startsWith("dead:")) return html`<${LetterView} key=${id} id=${id.slice(5)} isLinked />`;
  return html`<${EventView} key=${id} id=${id} row=${row} isLinked />`;
}

function EventView({ id, row, isLinked }) {
  const { data, error, isLoading, reload } = useApi(`/api/event/${encodeURIComponent(id)}`);
  return html`
    <h2 class="id"><${Text} value=${id} /></h2>
    ${row && html`<p class="muted"><${Kind} kind=${row[KIND]} /> <${Time} ms=${row[TIME]} isWhole /></p>`}
    <div class="buttons">
      <${Copy} id="copy-link" text=${location.origin + eventPath(id)} label="copy the link">link<//>
      <${Copy} id="copy-curl" text=${data?.curl} label="copy as curl">curl<//>
      <a class="button" download href="/api/event/${encodeURIComponent(id)}/raw">raw</a>
      ${isLinked && html`<a class="button" href=${eventPath(id)}>whole page</a>`}
    </div>
    <${Failure} error=${error} retry=${error?.status === 410 ? null : reload} />
    ${isLoading && html`<${Skeleton} />`}
    ${data && html`<${Body} event=${data} />`}
  `;
}

function Body({ event }) {
  const isNarrow = useNarrow();
  const more = useMore(`/api/event/${encodeURIComponent(event.id)}/raw`, event.record, event.truncated_at);
  if (event.damage) return html`<${Damaged} event=${event} />`;
  const record = more.isWhole ? parseExactly(more.text) : undefined;
  if (record === undefined || record === null || typeof record !== "object") {
    return html`<${Cut} text=${more.text} loaded=${more.loaded} total=${event.bytes} more=${more} /><${Failure} error=${more.error} /><${Sinks} sinks=${event.sinks} />`;
  }
  const { event: sent, ...around } = record;
  const panels = [
    ["Event", html`<${Json} value=${sent ?? {}} />`],
    ["Record", html`<${Place} place=${event.place} size=${event.bytes} /><${Json} value=${around} />`],
    ["Sinks", html`<${Sinks} sinks=${event.sinks} />`],
  ];
  return html`<${Tabs} label="Parts of the event" panels=${panels} isStacked=${isNarrow || location.pathname.startsWith("/event")} />`;
}

const segmentPath = ({ shard, segment }) => `/log/${encodeURIComponent(shard)}/${segment}`;

const Damaged = ({ event }) =>
  html`<${Note} tone="bad"><${State} tone="bad" shape="▲"><${Text} value=${event.damage} /><//><//>
    ${event.place && html`<p><a href=${segmentPath(event.place)}>segment ${event.place.segment} of shard ${event.place.shard}</a></p>`}`;

const Place = ({ place, size }) =>
  html`<${Pairs} pairs=${[
    ["place", html`<a href=${segmentPath(place)}>shard ${place.shard}, segment ${place.segment}</a>, byte ${count(place.offset)}`],
    ["sequence", count(place.sequence)],
    ["committed", html`<${Time} ms=${place.committed_ms} isWhole />`],
    ["size", bytes(size)],
  ]} />`;

function Sinks({ sinks }) {
  if (!sinks?.length) return html`<p class="muted">There is no sink in the settings.</p>`;
  return html`<ul class="plain">${sinks.map(({ name, state, reason }) => {
    const [tone, shape, word] = SINK_STATES[state] ?? ["muted", "·", state];
    return html`<li><b><${Text} value=${name} /></b> <${State} tone=${tone} shape=${shape}>${word}<//>
      ${reason && html`<span class="muted"><${Text} value=${reason} /></span>`}</li>`;
  })}</ul>`;
}

/** A refusal of which no content is kept. */
const RowOnly = ({ row }) =>
  html`<h2><${Kind} kind=${row[KIND]} /></h2>
    <${Pairs} pairs=${[
      ["time", html`<${Time} ms=${row[TIME]} isWhole />`],
      ["property", html`<${Text} value=${row[PROPERTY]} />`],
      ["source", row[SOURCE]],
      ["reason", row[CODE] && html`<${Text} value=${row[CODE]} />`],
      ["ea", row[EA] && html`<${Text} value=${row[EA]} />`],
      ["ec", row[EC] && html`<${Text} value=${row[EC]} />`],
      ["uid", row[UID] && html`<${Text} value=${row[UID]} />`],
      ["warnings", warningsOf(row)],
    ]} />
    <p class="muted">${row[KIND] === "duplicate" ? "The log has an event with this id already: see it there." : "The content of such a request is not kept."}</p>
    ${row[ID] && html`<p><a href=${deadPath(row[ID])}>${row[ID]}</a></p>`}`;
