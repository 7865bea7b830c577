/** The frame of all views: who may see them, the header, what is shown, what is spoken. */
import { html, render, useEffect, useState } from "./preact.js";
import { Accounts } from "./accounts.js";
import { get, remove } from "./api.js";
import { Dead } from "./dead.js";
import { EventPage } from "./event.js";
import { Header } from "./header.js";
import { KeysHelp, listenToKeys, useKeys } from "./keys.js";
import { Live } from "./live.js";
import { Log } from "./log.js";
import { LogIn } from "./login.js";
import { Now } from "./now.js";
import { Failure, State } from "./parts.js";
import { Replay } from "./replay.js";
import { listen, route } from "./router.js";
import { connection, node, session, spoken, theme, useCell, useTick } from "./state.js";
import { stream } from "./stream.js";
import { Try } from "./try.js";

const VIEWS = { live: Live, event: EventPage, now: Now, accounts: Accounts, log: Log, dead: Dead, replay: Replay, try: Try };
const TITLES = { live: "Live", event: "Event", now: "Now", accounts: "Accounts", log: "Log", dead: "Dead letters", replay: "Replay", try: "Try" };

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
  useEffect(() => void get("/api/node").then(node.set, () => {}), []);
  useEffect(() => view !== "live" && stream.want("now"), [view]);
  useTitle(TITLES[view]);
  useKeys({ "?": () => help(true) });
  const Shown = VIEWS[view];
  return html`
    <a class="skip" href="#main">Skip to the view</a>
    <${Header} view=${view} help=${() => help(true)} leave=${leave} />
    <${Connection} />
    <main id="main" tabindex="-1" class="view ${view}"><${Shown} key=${view} parts=${parts} query=${query} /></main>
    <${Spoken} />
    ${isHelp && html`<${KeysHelp} onClose=${() => help(false)} />`}
  `;
}

const Spoken = () => html`<p class="unseen" role="status">${useCell(spoken)}</p>`;

/** The line under the header while the stream does not flow. */
function Connection() {
  const { state, message, retryAt } = useCell(connection);
  const now = useTick();
  if (state === "open" || state === "connecting") return null;
  const seconds = Math.max(0, Math.ceil((retryAt - now) / 1000));
  return html`<div class="note bad connection"><p role="alert"><${State} tone="bad" shape="▲">${message}<//></p>
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
