/** The frame of all views: the log-in, the header, errors. */
import { html, render, useEffect, useState } from "./preact.js";
import { Accounts } from "./accounts.js";
import { Dead, Replay } from "./again.js";
import { get, post, remove, stream, useAction, useGreeted } from "./api.js";
import { EventPage } from "./event.js";
import { Live } from "./live.js";
import { Log } from "./log.js";
import { Now } from "./now.js";
import { Failure, Field, State, TextBox, staleness, useAge } from "./parts.js";
import { KeysHelp, VIEWS, deadPath, eventPath, go, listen, listenToKeys, route, useKeys } from "./router.js";
import { connection, isLocalTime, node, now, session, spoken, theme, useCell, useNarrow, useTick } from "./state.js";
import { count } from "./text.js";
import { Try } from "./try.js";

const COMPONENTS = { live: Live, event: EventPage, now: Now, accounts: Accounts, log: Log, dead: Dead, replay: Replay, try: Try };

function App() {
  const entry = useCell(session);
  const [error, fail] = useState(null);
  const begin = () => get("/api/session").then((found) => (fail(null), session.set(found)), fail);
  useEffect(() => void begin(), []);
  if (error) return html`<main class="login"><h1>Tracklog</h1><${Failure} error=${error} retry=${begin} /></main>`;
  if (!entry) return html`<p class="unseen" role="status">loading</p>`;
  return entry.needs_token ? html`<${Entrance} />` : html`<${Console} />`;
}

function Entrance() {
  useEffect(() => stream.close(), []);
  useTitle("Log in");
  return html`<${LogIn} />`;
}

function Console() {
  const { view, parts, query } = useCell(route);
  const [isHelp, help] = useState(false);
  const { data, error, reload } = useGreeted("/api/node");
  useEffect(() => void (data && node.set(data)), [data]);
  useEffect(() => view !== "live" && stream.want("now"), [view]);
  useTitle(VIEWS[view].title);
  useKeys({ "?": () => help(true) });
  const Shown = COMPONENTS[view];
  return html`
    <a class="skip" href="#main">Skip to the view</a>
    <${Header} view=${view} help=${() => help(true)} leave=${leave} />
    <${Connection} />
    <${Failure} error=${error} retry=${reload} />
    <main id="main" tabindex="-1" class="view view-${view}"><${Shown} key=${view} parts=${parts} query=${query} /></main>
    <${Spoken} />
    ${isHelp && html`<${KeysHelp} onClose=${() => help(false)} />`}
  `;
}

const Spoken = () => html`<p class="unseen" role="status">${useCell(spoken)}</p>`;

function Connection() {
  const { state, message, retryAt } = useCell(connection);
  const now = useTick();
  if (state === "open" || state === "connecting") return null;
  const seconds = Math.max(0, Math.ceil((retryAt - now) / 1000));
  return html`<div class="note bad connection"><p role="alert"><${State} tone="bad">${message}<//></p>
    <p class="muted">again in ${seconds} s</p> <button type="button" class="small" onClick=${() => stream.retry()}>Now</button></div>`;
}

function useTitle(title) {
  const { node } = useCell(session);
  useEffect(() => void (document.title = `${title} · Tracklog${node ? ` ${node}` : ""}`), [title, node]);
}

async function leave() {
  await remove("/api/session");
  session.set(await get("/api/session"));
}

const wear = (chosen) => (document.documentElement.dataset.theme = chosen);

wear(theme.get());
theme.watch(wear);
listen();
listenToKeys();
stream.watchVisibility();
render(html`<${App} />`, document.getElementById("app"));

const LINKED = Object.keys(VIEWS).filter((name) => VIEWS[name].key);
const THEMES = { auto: "light", light: "dark", dark: "auto" };
const THEME_SHAPES = { auto: "◐", light: "○", dark: "●" };

function Header({ view, help, leave }) {
  const isNarrow = useNarrow();
  const [isOpen, open] = useState(false);
  const address = useCell(route);
  useEffect(() => open(false), [address]);
  const rest = html`<${Views} view=${view} /><${Find} /><${Switches} help=${help} leave=${leave} />`;
  return html`<header class="top">
    <a class="brand" href="/">Tracklog</a>
    <${Health} />
    ${isNarrow
      ? html`<button type="button" class="menu" aria-label="Menu" aria-expanded=${String(isOpen)} aria-controls="menu"
          onClick=${() => open(!isOpen)}>☰</button>
        <div id="menu" class="menu-body" hidden=${!isOpen}>${rest}</div>`
      : rest}
  </header>`;
}

function Health() {
  const sample = useCell(now);
  const { node } = useCell(session);
  const stale = staleness(useAge(sample));
  const [tone, word] = !sample ? ["muted", "…"] : stale ? ["bad", stale] : sample.ready ? ["ok", "ready"] : ["bad", "not ready"];
  return html`<p class="health"><span class="muted">${node}</span> <${State} tone=${tone}>${word}<//></p>`;
}

function Views({ view }) {
  const dead = useCell(now)?.dead;
  const current = view === "event" ? "live" : view;
  const amount = dead > 0 && html`<span class="amount">${count(dead)}<span class="unseen"> in 24 hours</span></span>`;
  return html`<nav class="views" aria-label="Views"><ul>${LINKED.map((name) => html`<li>
    <a href="/${name}" aria-current=${name === current ? "page" : undefined}>${VIEWS[name].title}${name === "dead" && amount}</a>
  </li>`)}</ul></nav>`;
}

/** An id of an event or of a dead letter: their logs alone tell which. */
function Find() {
  async function submit(event) {
    event.preventDefault();
    const id = event.currentTarget.elements.find.value.trim();
    if (id) go(await pathOfId(id));
  }
  return html`<form class="find" role="search" aria-label="Find an id" onSubmit=${submit}>
    <${TextBox} type="search" id="find" name="find" aria-label="Id of an event or a dead letter" placeholder="find id" /></form>`;
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
    <button type="button" class="small" aria-pressed=${String(isLocal)} onClick=${() => isLocalTime.set(!isLocal)}>
      ${isLocal ? "local time" : "UTC"}</button>
    <button type="button" class="small" aria-label="Colours: ${worn}" onClick=${() => theme.set(THEMES[worn])}>
      ${THEME_SHAPES[worn]} ${worn}</button>
    <button type="button" class="small" aria-label="Keys" onClick=${help}>?</button>
    ${logged_in && html`<button type="button" class="small" onClick=${leave}>Log out</button>`}
  </div>`;
}

function LogIn() {
  const [token, type] = useState("");
  const entry = useAction(async () => {
    await post("/api/session", { token });
    session.set(await get("/api/session"));
  });
  function submit(event) {
    event.preventDefault();
    entry.run();
  }
  return html`<main class="login" id="main">
    <h1>Tracklog</h1>
    <form onSubmit=${submit}>
      <${Field} label="token" hint="the value of the variable that admin.token names">
        <${TextBox} type="password" name="token" maxlength="1024" autocomplete="current-password" required value=${token} onInput=${type} /><//>
      <p><button class="primary" disabled=${entry.isBusy}>Log in</button></p>
      <${Failure} error=${entry.error} />
    </form>
  </main>`;
}
