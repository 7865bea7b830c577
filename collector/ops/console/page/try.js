/** Try: send a request as a client would, and see what becomes of it. */
import { html, useEffect, useState } from "./preact.js";
import { get, getBytes, post, useAction, useApi } from "./api.js";
import { EventPanel } from "./event.js";
import {
  ActionButton, Command, Controls, Copy, Details, Failure, Field, Note, Pairs, PropertyField, Select, Skeleton, State, TextBox, plain
} from "./parts.js";
import { deadPath, eventPath, go } from "./router.js";
import { node, useCell } from "./state.js";
import { REDACTED, address, isJson, milliseconds } from "./text.js";
import { Json, inert, parseExactly } from "./value.js";

const PAGE = { url: "https://shop.example.com/tv", title: "Televisions" };
export const VIEW = {
  ea: "view", ec: "product", sid: 6320, aid: "38400000-8cf0-11bd-b23e-10b96e40000d", uid: "u-8812",
  items: [{ id: "864115", name: "Tivi Samsung 43 inch", price: 4500000 }],
};
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

/** A dead letter with all of its body. */
async function readLetter(id) {
  const path = `/api${deadPath(id)}`;
  const letter = await get(path);
  const isCut = letter.truncated_at != null && letter.encoding !== "base64";
  return isCut ? { ...letter, body: new TextDecoder().decode(await getBytes(`${path}/raw`)) } : letter;
}

/** Why a dead letter can't be the draft of a request, which would be another event than the one that was refused. */
export function obstacle({ sink, encoding, body, dialect }) {
  if (sink) return "It is stored, and only a sink refused it: Replay sends it there again.";
  if (encoding === "base64") return "It is not text.";
  if (body.includes(REDACTED)) return "admin.redact hides a part of it.";
  if (encoding !== "json" && dialect !== "matomo" && /^\??[\w.%[\]-]+=/.test(body)) return "It was sent as a query or a form.";
  return "";
}

export function Try({ query }) {
  const { properties, dialects } = useCell(node);
  const reading = useAction(readLetter);
  const read = () => query.letter && reading.run(query.letter);
  useEffect(() => void read(), [query.letter]);
  const letter = query.letter ? reading.data : null;
  const property = query.property ?? letter?.property ?? properties[0]?.property ?? "";
  const dialect = query.dialect || letter?.dialect || "event";
  const types = dialects.find(({ name }) => name === dialect)?.types ?? [];
  const type = types.includes(query.type) ? query.type : types[0];
  const change = (changes) => go(address("/try", { ...query, ...changes }), { replace: true });
  return html`
    <h1>Try</h1>
    <${Controls} label="Which request">
      <${PropertyField} value=${property} change=${(value) => change({ property: value })} />
      <${Field} label="dialect">
        <${Select} value=${dialect} options=${plain(dialects.map(({ name }) => name))} onChange=${(value) => change({ dialect: value, type: "" })} /><//>
      ${type && html`<${Field} label="answer">
        <${Select} value=${type} options=${plain(types)} onChange=${(value) => change({ type: value })} /><//>`}
    <//>
    <${Failure} error=${reading.error} retry=${read} />
    ${(query.letter && !letter && !reading.error) || !dialects[0] ? html`<${Skeleton} />`
      : letter && obstacle(letter) ? html`<${Note} tone="warn">
        This dead letter can't be sent from here. ${obstacle(letter)}${" "}<a href="/try">Begin with an example</a><//>`
      : html`<${Request} key=${`${dialect} ${type} ${letter?.id}`} ...${{ property, dialect, type }} start=${letter?.body ?? exampleOf(dialect, type)} />`}
    <${Snippet} property=${property} />
  `;
}

function Request({ property, dialect, type, start }) {
  const [body, set] = useState(start);
  const [target, aim] = useState("");
  const sent = useAction(() => post("/api/try", { property, dialect, type, body, redirect_url: target || undefined }));
  return html`<div class="halves">
    <section><h2>Request</h2>
      <${Field} label="body" hint=${isJson(body) ? "" : "This is not JSON. It is sent as it is."}>
        <textarea rows="14" class="code" spellcheck="false" autocomplete="off" value=${body}
          onInput=${(event) => set(event.currentTarget.value)}></textarea><//>
      ${type === "redirect" && html`<${Field} label="redirect to" hint="empty: to the first of the property's redirect_hosts">
        <${TextBox} type="url" maxlength="2000" placeholder="https://" value=${target} onInput=${aim} /><//>`}
      <p><${ActionButton} kind="primary" isBusy=${sent.isBusy || !property} onClick=${sent.run}>
        ${sent.isBusy ? "Sending …" : "Send a real event"}<//></p>
      <p class="muted">All sinks will get it.</p>
      <${Failure} error=${sent.error} />
    </section>
    <section aria-live="polite"><h2>Answer</h2>
      ${sent.data ? html`<${Answer} answer=${sent.data} />` : html`<p class="muted">Nothing was sent yet.</p>`}</section>
  </div>`;
}

function Answer({ answer }) {
  const { status, took_ms, headers, body_text, event_id, curl } = answer;
  const events = answer.events ?? (event_id ? [event_id] : []);
  const isGood = status < 400;
  const value = parseExactly(body_text);
  return html`
    <p><${State} tone=${isGood ? "ok" : "bad"} shape=${isGood ? "✓" : "▲"}><b>${status}</b><//> in ${milliseconds(took_ms)}</p>
    ${value !== null && typeof value === "object" ? html`<${Json} value=${value} />`
      : html`<pre class="raw" tabindex="0">${inert(body_text)}</pre>`}
    <${Details} label="headers of the answer"><${Pairs} pairs=${Object.entries(headers).map(([name, value]) => [inert(name), inert(value)])} /><//>
    ${curl && html`<${Details} label="the request as curl"><${Command} text=${curl} /><//>`}
    ${events.length ? html`<${Stored} key=${events[0]} id=${events[0]} />` : html`<p>${isGood ? "No event of it is in the log." : "Nothing was stored."}
      ${" "}What is refused is in${" "}<a href="/dead">Dead letters</a>.</p>`}
    ${events.length > 1 && html`<h3>Its other events</h3>
      <ul class="plain">${events.slice(1).map((id) => html`<li><a href=${eventPath(id)}>${id}</a></li>`)}</ul>`}
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
