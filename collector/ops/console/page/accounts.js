/** Accounts: for each property, what came in is what was stored, refused or shed, and how much of it the sinks have. */
import { html, useEffect } from "./preact.js";
import { useApi } from "./api.js";
import { Spark, highest } from "./chart.js";
import {
  AllWell, Command, Controls, Details, Failure, Field, Note, Pairs, PropertyField, Select, Skeleton, State, Table, Time, usePages
} from "./parts.js";
import { go } from "./router.js";
import { nodeNow } from "./state.js";
import { UNKNOWN, address, count, day } from "./text.js";
import { inert } from "./value.js";

const DAY_MS = 86_400_000;
const AGAIN_MS = 5000;

export function Accounts({ query }) {
  const parameters = { day: query.day, q: query.property };
  const { data, readAt, error, isLoading, reload } = useApi("/api/accounts", parameters);
  const change = (changes) => go(address("/accounts", { ...query, ...changes }));
  return html`
    <h1>Accounts</h1>
    <${Controls} role="search" label="Which accounts">
      <${Field} label="day (UTC)"><${Select} value=${query.day ?? ""} options=${days(query.day ?? "")} onChange=${(value) => change({ day: value })} /><//>
      <${PropertyField} type="search" value=${query.property ?? ""} placeholder="any" change=${(property) => change({ property })} />
      ${data && html`<p class="muted">from <${Time} ms=${data.from_ms} isWhole />, as of <${Time} ms=${readAt} /></p>`}
    <//>
    <${Failure} error=${error} retry=${reload} />
    ${isLoading && html`<${Skeleton} />`}
    ${data && html`<${Balance} key=${JSON.stringify(parameters)} first=${data} parameters=${parameters} reload=${reload} />`}
  `;
}

function days(chosen) {
  const yesterday = day(nodeNow() - DAY_MS);
  const known = [["", "today"], [yesterday, "yesterday"], ["30d", "the last 30 days"]];
  return known.some(([value]) => value === chosen) ? known : [...known, [chosen, chosen]];
}

function Balance({ first, parameters, reload }) {
  const { pages, next, more, failure } = usePages(first, "/api/accounts", parameters);
  const isWhole = pages.length === 1; // to read the first page again would drop the others
  useEffect(() => {
    const timer = isWhole && setInterval(reload, AGAIN_MS);
    return () => clearInterval(timer);
  }, [isWhole]);
  const rows = pages.flatMap((page) => page.rows);
  const columns = COLUMNS.filter(({ name }) => name !== "redriven" || rows.some((row) => row.redriven));
  return html`
    ${first.is_reading && html`<${Note}>The log is being read: stored, delivered and dead are not whole yet.<//>`}
    ${first.stored_unknown_before_ms && html`<${Note} tone="warn">
      The log begins later: what was stored before${" "}<${Time} ms=${first.stored_unknown_before_ms} isWhole />${" "}is unknown.<//>`}
    ${first.unknown_before_ms && html`<${Note} tone="warn">
      The counters restarted: what was rejected or shed before${" "}<${Time} ms=${first.unknown_before_ms} isWhole />${" "}is unknown.<//>`}
    ${(first.warnings ?? []).map((warning) => html`<${Warning} ...${warning} />`)}
    ${rows.length
      ? html`<${Table} caption="Balance of each property" columns=${columns} rows=${rows} rowKey=${({ property }) => property} />
        <p class="muted">✓: as many outcomes as events were counted. Stored and redriven events are delivered, pending or dead. Delivered is what
          the cursors say:${" "}<code>collector audit</code> checks it.</p>`
      : html`<${Note}>${parameters.q ? "No property with this text had an event on this day." : "No event on this day."}<//>`}
    <${Failure} error=${failure} />
    ${next && html`<p class="buttons">
      <button type="button" onClick=${more}>More: ${count(rows.length)} of ${count(first.properties)}</button>
      <span class="muted">The order is of the rows that are shown.</span></p>`}
    <${Unknown} unknown=${first.unknown ?? []} />
  `;
}

const Warning = ({ property, message, command }) =>
  html`<div class="note bad" role="alert"><p><${State} tone="bad">${inert(property)}: ${inert(message)}<//></p>
    ${command && html`<${Command} text=${command} />`}</div>`;

const number = (name, sign = "") => ({ name, label: sign + name, isNumber: true, cell: (row) => count(row[name]), sort: (row) => row[name] });

const liveLink = ({ property }) => html`<a href=${address("/live", { property })}>${inert(property)}</a>`;

const COLUMNS = [
  { name: "property", cell: liveLink, sort: ({ property }) => property },
  number("received"),
  number("stored", "= "),
  number("duplicate", "+ "),
  { ...number("rejected", "+ "), cell: (row) => html`<${Rejected} row=${row} />` },
  number("shed", "+ "),
  { name: "balance", label: "balances", cell: (row) => html`<${Verdict} row=${row} />` },
  number("redriven"),
  number("delivered"),
  number("pending"),
  number("dead"),
  { name: "days", label: "30 days", cell: ({ days }) => html`<${Spark} values=${days} label=${sparkText(days)} />` },
];

const sparkText = (days) => `today ${count(days.at(-1))}, most in 30 days ${count(highest([days]))}`;

function Rejected({ row }) {
  const codes = Object.entries(row.codes ?? {}).sort(([, one], [, other]) => other - one);
  if (!codes.length) return count(row.rejected);
  const pairs = codes.map(([code, events]) => [html`<code>${code}</code>`, count(events)]);
  return html`<${Details} label=${count(row.rejected)}><${Pairs} pairs=${pairs} /><//>`;
}

/** Tone, shape and words for a balance. Pure. */
export function verdict({ balance, waiting }) {
  const open = waiting > 0 ? `${count(waiting)} under way` : "";
  if (balance === "differs") return ["bad", "▲", waiting > 0 ? `${count(waiting)} without an outcome` : "counts differ"];
  if (balance === "settled") return ["ok", "✓", open ? `balances, ${open}` : "balances"];
  return ["muted", "◌", open || "not checked"];
}

function Verdict({ row }) {
  const [tone, shape, text] = verdict(row);
  return html`<${State} tone=${tone} shape=${shape}>${text}<//>`;
}

function Unknown({ unknown }) {
  if (!unknown.length) return html`<${AllWell}>no request for a property that does not exist<//>`;
  return html`<h2>Properties that do not exist</h2>
    <p class="muted">Requests for them get 404, and their events are not kept. To take them, add the property to the settings,
      then run${" "}<code>collector reload</code>.</p>
    <${Table} caption="Properties that do not exist" rows=${unknown} rowKey=${({ property }) => property} columns=${UNKNOWN_COLUMNS} />`;
}

const how = ({ property }) =>
  /^\d+\/\d+$/.test(property) ? html`<${Details} label="how"><pre class="raw" tabindex="0">${settingsOf(property)}</pre><//>` : UNKNOWN;

const UNKNOWN_COLUMNS = [
  { name: "property", cell: ({ property }) => inert(property) },
  { name: "requests", isNumber: true, cell: ({ requests }) => count(requests) },
  { name: "first", cell: ({ first_ms }) => html`<${Time} ms=${first_ms} isWhole />` },
  { name: "how", label: "to add it", cell: how },
];

function settingsOf(property) {
  const [portal, prop] = property.split("/");
  return `[[property]]\nportal_id = ${portal}\nprop_id = ${prop}\nsource = "web"`;
}
