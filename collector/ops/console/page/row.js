/** One row of the live list: the places of its members, where it leads, and its element. */
import { shapeOf, toneOf } from "./parts.js";
import { deadPath, eventPath } from "./router.js";
import { isLocalTime, isRedacted } from "./state.js";
import { REDACTED, bytes, clock, count, stamp, visible } from "./text.js";

/** The places of a row's members, as the stream sends them. */
export const [N, ID, TIME, KIND, PROPERTY, SOURCE, DIALECT, EA, EC, UID, BYTES, WARNINGS, CODE] = Array(13).keys();
const COLUMNS = ["time", "kind", "property", "source", "ea", "ec", "uid", "bytes"];

/** What tells one row from the others, also where it has no id or no number. */
export const keyOf = (row) => `${row[ID] ?? ""}:${row[N]}`;

/** Where a row leads; null if no content of it is kept. */
export const pathOf = (row) => (row[ID] == null ? null : row[KIND] === "dead" ? deadPath(row[ID]) : eventPath(row[ID]));

/** Warnings as one text, which may be a list or their number. */
export function warningsOf(row) {
  const warnings = row[WARNINGS];
  return Array.isArray(warnings) ? warnings.map(visible).join("; ") : warnings ? `${count(warnings)} warnings` : "";
}

/** An empty element for a row. */
export function makeRow() {
  const row = document.createElement("div");
  row.setAttribute("role", "row");
  for (const name of COLUMNS) {
    const made = document.createElement("bdi");
    made.setAttribute("role", "cell");
    made.className = `cell ${name}`;
    row.append(made);
  }
  row.firstChild.append(document.createElement("a"));
  return row;
}

/** Have an element show a row. */
export function fillRow(element, row) {
  const [time, kind, property, source, ea, ec, uid, size] = element.children;
  element.shown = row;
  element.dataset.kind = row[KIND];
  fillTime(time.firstChild, row);
  kind.className = `cell kind ${toneOf(row[KIND])}`;
  kind.textContent = `${shapeOf(row[KIND])} ${row[KIND]}`;
  fillText(property, `${row[PROPERTY] ?? ""}${row[DIALECT] ? ` ${row[DIALECT]}` : ""}`);
  fillText(source, row[SOURCE]);
  fillText(ea, row[CODE] || row[EA], "ea");
  fillText(ec, row[CODE] ? "" : row[EC], "ec");
  fillText(uid, row[UID], "uid");
  size.textContent = `${warningsOf(row) ? "⚠ " : ""}${row[BYTES] ? bytes(row[BYTES]) : "–"}`;
  size.title = warningsOf(row);
}

function fillTime(link, row) {
  const path = pathOf(row);
  link.textContent = clock(row[TIME], isLocalTime.get());
  link.title = stamp(row[TIME]);
  if (path) link.href = path;
  else link.removeAttribute("href");
  link.setAttribute("aria-label", `${link.textContent} ${row[KIND]}, open`);
}

/** The sender's text, in one text node; its invisible characters as escapes. */
function fillText(element, value, field) {
  const text = visible(String(value ?? ""));
  element.textContent = text || "–";
  element.classList.toggle("redacted", text === REDACTED);
  element.title = text === REDACTED && isRedacted(field) ? "hidden by admin.redact" : text;
}
