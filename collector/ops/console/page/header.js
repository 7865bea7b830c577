/** The header: whether the node is well, the views, and a box that finds an id. */
import { html, useEffect, useState } from "./preact.js";
import { get } from "./api.js";
import { State, staleness, useAge } from "./parts.js";
import { deadPath, eventPath, go, route } from "./router.js";
import { isLocalTime, now, session, theme, useCell, useNarrow } from "./state.js";
import { count } from "./text.js";

const VIEWS = [["live", "/", "Live"], ["now", "/now", "Now"], ["accounts", "/accounts", "Accounts"], ["log", "/log", "Log"], ["dead", "/dead", "Dead"], ["replay", "/replay", "Replay"], ["try", "/try", "Try"]];
const THEMES = { auto: "light", light: "dark", dark: "auto" };
const THEME_SHAPES = { auto: "◐", light: "○", dark: "●" };

export function Header({ view, help, leave }) {
  const isNarrow = useNarrow();
  const [isOpen, open] = useState(false);
  const address = useCell(route);
  useEffect(() => open(false), [address]);
  const rest = html`<${Views} view=${view} /><${Find} /><${Switches} help=${help} leave=${leave} />`;
  return html`<header class="top">
    <a class="brand" href="/">Tracklog</a>
    <${Health} />
    ${isNarrow
      ? html`<button type="button" class="menu" aria-expanded=${String(isOpen)} aria-controls="menu" onClick=${() => open(!isOpen)}><span aria-hidden="true">☰</span><span class="unseen">Menu</span></button>
        <div id="menu" class="menu-body" hidden=${!isOpen}>${rest}</div>`
      : rest}
  </header>`;
}

/** `node-1 ● ready`, by the last sample. */
function Health() {
  const sample = useCell(now);
  const { node } = useCell(session);
  const stale = staleness(useAge(sample));
  const [tone, shape, word] = !sample ? ["muted", "◌", "…"] : stale ? ["bad", "▲", stale] : sample.ready ? ["ok", "●", "ready"] : ["bad", "▲", "not ready"];
  return html`<p class="health"><span class="muted">${node}</span> <${State} tone=${tone} shape=${shape}>${word}<//></p>`;
}

function Views({ view }) {
  const dead = useCell(now)?.dead;
  return html`<nav class="views" aria-label="Views"><ul>${VIEWS.map(([name, href, label]) => html`<li><a href=${href} aria-current=${name === view || (name === "live" && view === "event") ? "page" : undefined}>
    ${label}${name === "dead" && dead > 0 && html` <span class="amount">${count(dead)}<span class="unseen"> in 24 hours</span></span>`}</a></li>`)}</ul></nav>`;
}

/** An id of an event or of a dead letter: their logs alone tell which. */
function Find() {
  async function submit(event) {
    event.preventDefault();
    const id = event.currentTarget.elements.find.value.trim();
    if (id) go(await pathOfId(id));
  }
  return html`<form class="find" role="search" aria-label="Find an id" onSubmit=${submit}>
    <input type="search" id="find" name="find" aria-label="Id of an event or a dead letter" placeholder="find id" maxlength="100" autocomplete="off" spellcheck="false" /></form>`;
}

async function pathOfId(id) {
  const exists = (kind) => get(`/api/${kind}/${encodeURIComponent(id)}`).then(() => true, () => false);
  return !(await exists("event")) && (await exists("dead")) ? deadPath(id) : eventPath(id);
}

function Switches({ help, leave }) {
  const isLocal = useCell(isLocalTime);
  const worn = useCell(theme);
  const { logged_in } = useCell(session);
  return html`<div class="switches">
    <button type="button" class="small" aria-pressed=${String(isLocal)} onClick=${() => isLocalTime.set(!isLocal)}>${isLocal ? "local time" : "UTC"}</button>
    <button type="button" class="small" aria-label="Colours: ${worn}" onClick=${() => theme.set(THEMES[worn])}>${THEME_SHAPES[worn]} ${worn}</button>
    <button type="button" class="small" aria-label="Keys" onClick=${help}>?</button>
    ${logged_in && html`<button type="button" class="small" onClick=${leave}>Log out</button>`}
  </div>`;
}
