/** One dead letter: why it was refused, and what was sent. */
import { html } from "./preact.js";
import { useApi } from "./api.js";
import { useMore } from "./more.js";
import { Copy, Failure, Skeleton, State, Time } from "./parts.js";
import { address, deadPath } from "./router.js";
import { Pairs } from "./table.js";
import { bytes } from "./text.js";
import { Cut, Json, Text, parseExactly } from "./value.js";

export function LetterView({ id, isLinked }) {
  const { data, error, isLoading, reload } = useApi(`/api/dead/${encodeURIComponent(id)}`);
  return html`
    <h2 class="id"><${Text} value=${id} /></h2>
    <div class="buttons">
      <${Copy} id="copy-link" text=${location.origin + deadPath(id)} label="copy the link">link<//>
      <a class="button" download href="/api/dead/${encodeURIComponent(id)}/raw">raw</a>
      <a class="button" href=${address("/try", { letter: id })}>open in Try</a>
      ${isLinked && html`<a class="button" href=${deadPath(id)}>whole page</a>`}
    </div>
    <${Failure} error=${error} retry=${error?.status === 410 ? null : reload} />
    ${isLoading && html`<${Skeleton} />`}
    ${data && html`<${Letter} letter=${data} />`}
  `;
}

function Letter({ letter }) {
  const more = useMore(`/api/dead/${encodeURIComponent(letter.id)}/raw`, letter.body, letter.truncated_at);
  const value = more.isWhole && letter.encoding === "json" ? parseExactly(more.text) : undefined;
  return html`
    <p><${State} tone="dead" shape="✚"><${Text} value=${letter.reason} /><//></p>
    <${Errors} errors=${letter.errors ?? []} />
    <${Pairs} pairs=${[
      ["received", html`<${Time} ms=${letter.received_ms} isWhole />`],
      ["property", html`<${Text} value=${letter.property} />`],
      ["dialect", letter.dialect],
      ["refused by", letter.sink && html`sink <${Text} value=${letter.sink} />`],
      ["code", letter.code],
      ["from", letter.ip && html`<${Text} value=${letter.ip} />`],
      ["user agent", letter.user_agent && html`<${Text} value=${letter.user_agent} />`],
      ["referer", letter.referer && html`<${Text} value=${letter.referer} />`],
      ["size", `${bytes(letter.bytes)}${letter.encoding === "base64" ? ", not UTF-8: shown as base64" : ""}`],
    ]} />
    <h3>What was sent</h3>
    ${value === undefined
      ? html`<${Cut} text=${more.text} loaded=${more.loaded} total=${letter.bytes} more=${more} /><${Failure} error=${more.error} />`
      : html`<${Json} value=${value} />`}
  `;
}

const Errors = ({ errors }) =>
  errors.length > 0 &&
  html`<ul class="plain">${errors.map(({ field, message }) => html`<li><code><${Text} value=${field} /></code> <${Text} value=${message} /></li>`)}</ul>`;
