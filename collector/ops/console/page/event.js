/** One event, with what each sink did with it; and one dead letter. */
import { html, useEffect } from "./preact.js";
import { useApi } from "./api.js";
import { Copy, Failure, Kind, Note, Pairs, Skeleton, State, Tabs, Time } from "./parts.js";
import { deadPath, eventPath, logPath } from "./router.js";
import { CODE, EA, EC, KIND, PROPERTY, SOURCE, TIME, UID, warningsOf } from "./row.js";
import { useNarrow } from "./state.js";
import { address, bytes, count } from "./text.js";
import { Cut, Json, inert, parseExactly, useMore } from "./value.js";

const SINK_STATES = {
  delivered: ["ok", "delivered"],
  pending: ["muted", "waits"],
  in_flight: ["accent", "on its way"],
  refused: ["dead", "refused"],
};

export const EventPage = ({ parts: [id = ""] }) => html`<div class="one"><h1>Event</h1><${EventView} key=${id} id=${id} /></div>`;

/** Beside the live list: an event, a dead letter (`dead:ID`), or the row alone where nothing more is kept. */
export function EventPanel({ id, row }) {
  if (!id) return html`<${RowOnly} row=${row} />`;
  if (id.startsWith("dead:")) return html`<${LetterView} key=${id} id=${id.slice(5)} isLinked />`;
  return html`<${EventView} key=${id} id=${id} row=${row} isLinked />`;
}

function EventView({ id, row, isLinked }) {
  const { data, error, isLoading, reload } = useApi(`/api${eventPath(id)}`);
  useEffect(() => {
    const isOpen = data?.sinks.some(({ state }) => state === "pending" || state === "in_flight");
    const timer = isOpen && setTimeout(reload, 2000);
    return () => clearTimeout(timer);
  }, [data]);
  return html`
    <h2 class="id">${inert(id)}</h2>
    ${row && html`<p class="muted"><${Kind} kind=${row[KIND]} /> <${Time} ms=${row[TIME]} isWhole /></p>`}
    <${Links} path=${eventPath(id)} isLinked=${isLinked}><${Copy} id="copy-curl" text=${data?.curl} label="copy as curl">curl<//><//>
    <${Failure} error=${error} retry=${error?.status === 410 ? null : reload} />
    ${isLoading && html`<${Skeleton} />`}
    ${data && html`<${Body} event=${data} />`}
  `;
}

/** The buttons of an event or a dead letter. `path`: its address in the page, and after `/api` that of its data. */
const Links = ({ path, isLinked, children }) =>
  html`<div class="buttons">
    <${Copy} id="copy-link" text=${location.origin + path} label="copy the link">link<//>
    <a class="button" download href="/api${path}/raw">raw</a>${children}
    ${isLinked && html`<a class="button" href=${path}>whole page</a>`}
  </div>`;

function Body({ event }) {
  const isNarrow = useNarrow();
  const more = useMore(`/api${eventPath(event.id)}/raw`, event.record, event.truncated_at);
  if (event.damage) return html`<${Damaged} event=${event} />`;
  const record = more.isWhole ? parseExactly(more.text) : undefined;
  if (record === undefined || record === null || typeof record !== "object") {
    return html`<${Cut} total=${event.bytes} more=${more} /><${Sinks} sinks=${event.sinks} />`;
  }
  const { event: sent, ...around } = record;
  const panels = [
    ["Event", html`<${Json} value=${sent ?? {}} />`],
    ["Record", html`<${Place} place=${event.place} size=${event.bytes} /><${Json} value=${around} />`],
    ["Sinks", html`<${Sinks} sinks=${event.sinks} />`],
  ];
  return html`<${Tabs} label="Parts of the event" panels=${panels} isStacked=${isNarrow || location.pathname.startsWith("/event")} />`;
}

const Damaged = ({ event }) =>
  html`<${Note} tone="bad">${inert(event.damage)}<//>
    ${event.place && html`<p><a href=${logPath(event.place.shard, event.place.segment)}>segment ${event.place.segment} of shard ${event.place.shard}</a></p>`}`;

const Place = ({ place, size }) =>
  html`<${Pairs} pairs=${[
    ["place", html`<a href=${logPath(place.shard, place.segment)}>shard ${place.shard}, segment ${place.segment}</a>, byte ${count(place.offset)}`],
    ["sequence", count(place.sequence)],
    ["committed", html`<${Time} ms=${place.committed_ms} isWhole />`],
    ["size", bytes(size)],
  ]} />`;

function Sinks({ sinks }) {
  if (!sinks?.length) return html`<p class="muted">There is no sink in the settings.</p>`;
  return html`<ul class="plain">${sinks.map(({ name, state, reason }) => {
    const [tone, word] = SINK_STATES[state] ?? ["muted", state];
    return html`<li><b>${inert(name)}</b> <${State} tone=${tone}>${word}<//>
      ${reason && html`<span class="muted">${inert(reason)}</span>`}</li>`;
  })}</ul>`;
}

const RowOnly = ({ row }) =>
  html`<h2><${Kind} kind=${row[KIND]} /></h2>
    <${Pairs} pairs=${[
      ["time", html`<${Time} ms=${row[TIME]} isWhole />`],
      ["property", inert(row[PROPERTY])],
      ["source", row[SOURCE]],
      ["reason", row[CODE] && inert(row[CODE])],
      ["ea", row[EA] && inert(row[EA])],
      ["ec", row[EC] && inert(row[EC])],
      ["uid", row[UID] && inert(row[UID])],
      ["warnings", warningsOf(row)],
    ]} />
    <p class="muted">${row[KIND] === "duplicate" ? "The log has an event with this id already." : "Its content is not kept."}</p>`;

export function LetterView({ id, isLinked }) {
  const { data, error, isLoading, reload } = useApi(`/api${deadPath(id)}`);
  return html`
    <h2 class="id">${inert(id)}</h2>
    <${Links} path=${deadPath(id)} isLinked=${isLinked}><a class="button" href=${address("/try", { letter: id })}>open in Try</a><//>
    <${Failure} error=${error} retry=${error?.status === 410 ? null : reload} />
    ${isLoading && html`<${Skeleton} />`}
    ${data && html`<${Letter} letter=${data} />`}
  `;
}

function Letter({ letter }) {
  const more = useMore(`/api${deadPath(letter.id)}/raw`, letter.body, letter.truncated_at);
  const isText = letter.encoding !== "base64";
  const value = more.isWhole && letter.encoding === "json" ? parseExactly(more.text) : undefined;
  return html`
    <p><${State} tone="dead">${inert(letter.reason)}<//></p>
    <${Errors} errors=${letter.errors ?? []} />
    <${Pairs} pairs=${[
      ["received", html`<${Time} ms=${letter.received_ms} isWhole />`],
      ["property", inert(letter.property)],
      ["dialect", letter.dialect],
      ["refused by", letter.sink && html`sink ${inert(letter.sink)}`],
      ["code", letter.code],
      ["from", letter.ip && inert(letter.ip)],
      ["user agent", letter.user_agent && inert(letter.user_agent)],
      ["referer", letter.referer && inert(letter.referer)],
      ["size", `${bytes(letter.bytes)}${isText ? "" : ", not UTF-8: at most 20 KB are shown, as base64"}`],
    ]} />
    <h3>What was sent</h3>
    ${value === undefined
      ? html`<${Cut} total=${isText ? letter.bytes : 0} more=${more} />`
      : html`<${Json} value=${value} />`}
  `;
}

const Errors = ({ errors }) =>
  errors.length > 0 &&
  html`<ul class="plain">${errors.map(({ field, message }) => html`<li><code>${inert(field)}</code> ${inert(message)}</li>`)}</ul>`;
