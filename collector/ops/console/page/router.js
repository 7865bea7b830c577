/** Addresses: the path is the view, the query its whole state. */
import { cell } from "./state.js";

const VIEWS = ["live", "event", "now", "accounts", "log", "dead", "replay", "try"];

/** `{view, parts, query}` of an address; null for one that the page does not have. */
export function parse(path, search) {
  const parts = path.split("/").filter(Boolean).map(decoded);
  const view = parts.shift() ?? "live";
  return VIEWS.includes(view) ? { view, parts, query: Object.fromEntries(new URLSearchParams(search)) } : null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const NOWHERE = { view: "live", parts: [], query: {} };
const current = () => parse(location.pathname, location.search) ?? NOWHERE;

export const route = cell(current());

/** Go to an address of the page. */
export function go(href, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", href);
  route.set(current());
}

/** The address of a view with a query, without empty parameters. */
export function address(path, query = {}) {
  const filled = Object.entries(query).filter(([, value]) => value !== "" && value != null && value !== false);
  return filled.length ? `${path}?${new URLSearchParams(filled)}` : path;
}

/** Where an id leads: a dead letter's are told from an event's by the server alone. */
export const eventPath = (id) => `/event/${encodeURIComponent(id)}`;
export const deadPath = (id) => `/dead/${encodeURIComponent(id)}`;

/** Have links and the buttons Back and Forward change the view without loading the page. */
export function listen() {
  addEventListener("popstate", () => route.set(current()));
  document.addEventListener("click", (click) => {
    const link = click.target.closest?.("a[href]");
    if (!link || !isOurs(link, click)) return;
    click.preventDefault();
    go(link.href);
  });
}

function isOurs(link, click) {
  const isPlain = click.button === 0 && !(click.ctrlKey || click.metaKey || click.shiftKey || click.altKey);
  const isHere = link.origin === location.origin && !link.hasAttribute("download") && !link.target;
  return isPlain && isHere && !click.defaultPrevented && !link.hash && parse(link.pathname, link.search) !== null;
}
