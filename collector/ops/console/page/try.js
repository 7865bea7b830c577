/** Try: send a request as a client would, and see what becomes of it. */
import { html, useEffect, useState } from "./preact.js";
import { get, post, useAction, useApi } from "./api.js";
import { EventPanel } from "./event.js";
import { ActionButton, Controls, Copy, Details, Failure, Field, Pairs, PropertyField, Select, Skeleton, State, plain } from "./parts.js";
import { deadPath, eventPath, go } from "./router.js";
import { node, useCell } from "./state.js";
import { address, curl, isJson, milliseconds } from "./text.js";
import { Json, inert, parseExactly } from "./value.js";

const PAGE = { url: "https://shop.example.com/tv", title: "Televisions" };
export const VIEW = {
  ea: "view", ec: "product", sid: 6320, aid: "38400000-8cf0-11bd-b23e-10b96e40000d", uid: "u-8812",
  items: [{ id: "864115", name: "Tivi Samsung 43 inch", price: 4500000 }],
};
/** Bodies to begin with, by dialect. */
const EXAMPLES = {
  event: VIEW,
  segment: { batch: [{ type: "track", userId: "u-8812", event: "Product Viewed", properties: { product_id: "864115", price: 450 } }] },
  snowplow: {
    schema: "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
    data: [{ e: "pv", p: "web", tv: "js-3.24.0", ...PAGE }],
  },
  matomo: { requests: ["?idsite=1&rec=1&action_name=Televisions&url=https%3A%2F%2Fshop.example.com%2Ftv"] },
  posthog: { batch: [{ event: "$pageview", distinct_id: "u-8812", properties: { $current_url: PAGE.url } }] },
  cloudevents: { specversion: "1.0", id: "1", source: "/shop", type: "product.view", data: VIEW },
};

/** The example for a request. Only a click may be answered with a redirect. */
const exampleOf = (dialect, type) => JSON.stringify({ ...EXAMPLES[dialect], ...(type === "redirect" && { ea: "click" }) }, null, 2);

export function Try({ query }) {
  const { properties, dialects } = useCell(node);
  const letter = useApi(query.letter ? `/api${deadPath(query.letter)}` : null);
  const property = query.property ?? letter.data?.property ?? properties[0]?.property ?? "";
  const dialect = query.dialect || letter.data?.dialect || "event";
  const types = dialects.find(({ name }) => name === dialect)?.types ?? [];
  const type = types.includes(query.type) ? query.type : types[0];
  const change = (changes) => go(address("/try", { ...query, ...changes }), { replace: true });
  const chosen = { property, dialect, type };
  return html`
    <h1>Try</h1>
    <${Controls} label="Which request">
      <${PropertyField} value=${property} change=${(value) => change({ property: value })} />
      <${Field} label="dialect">
        <${Select} value=${dialect} options=${plain(dialects.map(({ name }) => name))} onChange=${(value) => change({ dialect: value, type: "" })} /><//>
      ${type && html`<${Field} label="answer">
        <${Select} value=${type} options=${plain(types)} onChange=${(value) => change({ type: value })} /><//>`}
    <//>
    <${Failure} error=${letter.error} />
    ${letter.isLoading || !dialects[0] ? html`<${Skeleton} />`
      : html`<${Request} key=${`${dialect} ${type} ${query.letter}`} ...${chosen} start=${letter.data?.body ?? exampleOf(dialect, type)} />`}
    <${Snippet} property=${property} />
  `;
}

function Request({ property, dialect, type, start }) {
  const [body, set] = useState(start);
  const { event_url } = useCell(node);
  const sent = useAction(() => post("/api/try", { property, dialect, type, body }));
  const [portal, prop] = property.split("/");
  const url = `${event_url}?portal_id=${encodeURIComponent(portal)}&prop_id=${encodeURIComponent(prop ?? "")}&resp_type=${type}`;
  return html`<div class="halves">
    <section><h2>Request</h2>
      <${Field} label="body" hint=${isJson(body) ? "" : "This is not JSON. It is sent as it is."}>
        <textarea rows="14" class="code" spellcheck="false" autocomplete="off" value=${body}
          onInput=${(event) => set(event.currentTarget.value)}></textarea><//>
      <p class="buttons"><${ActionButton} kind="primary" isBusy=${sent.isBusy || !property} onClick=${sent.run}>
        ${sent.isBusy ? "Sending …" : "Send a real event"}<//>
        ${dialect === "event" && html`<${Copy} id="copy-curl" text=${curl(url, body)} label="copy as curl">curl<//>`}</p>
      <p class="muted">All sinks will get it.</p>
      <${Failure} error=${sent.error} />
    </section>
    <section aria-live="polite"><h2>Answer</h2>
      ${sent.data ? html`<${Answer} answer=${sent.data} />` : html`<p class="muted">Nothing was sent yet.</p>`}</section>
  </div>`;
}

function Answer({ answer }) {
  const { status, took_ms, headers, body_text, event_id } = answer;
  const isGood = status < 400;
  const value = parseExactly(body_text);
  return html`
    <p><${State} tone=${isGood ? "ok" : "bad"} shape=${isGood ? "✓" : "▲"}><b>${status}</b><//> in ${milliseconds(took_ms)}</p>
    ${value !== null && typeof value === "object" ? html`<${Json} value=${value} />`
      : html`<pre class="raw" tabindex="0">${inert(body_text)}</pre>`}
    <${Details} label="headers of the answer"><${Pairs} pairs=${Object.entries(headers).map(([name, value]) => [inert(name), inert(value)])} /><//>
    ${event_id ? html`<${Stored} id=${event_id} />` : html`<p>${isGood ? "The answer names no event." : "Nothing was stored."}
      ${" "}What is refused is in${" "}<a href="/dead">Dead letters</a>.</p>`}
  `;
}

const TRIES = 10;
const AGAIN_MS = 300;

/** The event, once the log proves it durable: that takes a moment. */
function Stored({ id }) {
  const [isThere, set] = useState(false);
  useEffect(() => {
    let isOver = false;
    async function look() {
      for (let tries = 0; tries < TRIES && !isOver; tries++) {
        if (await get(`/api${eventPath(id)}`).then(() => true, () => false)) break;
        await new Promise((done) => setTimeout(done, AGAIN_MS));
      }
      if (!isOver) set(true);
    }
    look();
    return () => void (isOver = true);
  }, [id]);
  return html`<h3>In the log</h3>${isThere ? html`<${EventPanel} id=${id} />`
    : html`<p class="muted"><a href=${eventPath(id)}>${id}</a> is on its way</p><${Skeleton} rows=${3} />`}`;
}

/** What a page needs to send to the property. */
function Snippet({ property }) {
  const { data, error } = useApi(property ? "/api/snippet" : null, { property });
  return html`<section><h2>Snippet for pages</h2>
    ${error && html`<p class="muted">${error.message}</p>`}
    ${data && html`<p class="muted">Put these tags into the head of each page that shall send to ${inert(property)}.</p>
      <pre class="raw" tabindex="0">${data.tags}</pre>
      <p><${Copy} text=${data.tags} label="copy the snippet">copy<//></p>
      ${data.notes.length > 0 && html`<ul class="notes">${data.notes.map((note) => html`<li>${note}</li>`)}</ul>`}`}
  </section>`;
}
