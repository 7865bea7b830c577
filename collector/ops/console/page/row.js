/** The rows of the live list: their members, where they lead, and their elements. */
import { SHAPES, toneOf } from "./parts.js";
import { deadPath, eventPath } from "./router.js";
import { isLocalTime, isRedacted } from "./state.js";
import { REDACTED, bytes, clock, count, stamp, visible } from "./text.js";

/** The places of a row's members, as the stream sends them. */
export const [N, ID, TIME, KIND, PROPERTY, SOURCE, DIALECT, EA, EC, UID, BYTES, WARNINGS, CODE] = Array(13).keys();
export const COLUMNS = ["time", "kind", "property", "source", "ea", "ec", "uid", "bytes"];

/** What tells one row from the others, also where it has no id or no number. */
export const keyOf = (row) => `${row[ID] ?? ""}:${row[N]}`;

/** Where a row leads; null if no content of it is kept. */
const pathOf = (row) => (row[ID] == null ? null : row[KIND] === "dead" ? deadPath(row[ID]) : eventPath(row[ID]));

/** Warnings as one text, which may be a list or their number. */
export function warningsOf(row) {
  const warnings = row[WARNINGS];
  if (row[KIND] === "damaged") return `${count(warnings)} events lost`;
  return Array.isArray(warnings) ? warnings.map(visible).join("; ") : warnings ? `${count(warnings)} warnings` : "";
}

const SPARE_ROWS = 4;
/** More rows at once do not fade in: that would cost more than the rows. */
const FADING_ROWS = 5;

export class Pool {
  /** Of a row, in pixels. */
  height = 28;
  #scroller;
  #sizer;
  #elements = [];
  #placed = new Map();

  constructor(scroller, sizer) {
    this.#scroller = scroller;
    this.#sizer = sizer;
  }

  measure() {
    this.height = Number.parseFloat(getComputedStyle(this.#scroller).getPropertyValue("--row")) || this.height;
  }

  /** Have the next paint fill all elements again. */
  forget() {
    this.#placed.clear();
  }

  reveal(at) {
    const top = at * this.height;
    const room = this.#scroller.clientHeight - this.height;
    const from = this.#scroller.scrollTop;
    if (at >= 0 && (top < from || top > from + room)) this.#scroller.scrollTop = top < from ? top : top - room;
  }

  /** Show the rows that are in sight. `chosen` is the key of a row; a list that `isStill` can be read aloud. */
  paint(rows, { chosen, isStill }) {
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / this.height) - SPARE_ROWS);
    const places = Math.ceil(this.#scroller.clientHeight / this.height) + 2 * SPARE_ROWS;
    const wanted = new Map(rows.slice(first, first + places).map((row, at) => [row, first + at]));
    const free = this.#free(wanted, places);
    const fresh = [...wanted.keys()].filter((row) => !this.#placed.has(row));
    for (const row of fresh) this.#fill(free.pop(), row, fresh.length <= FADING_ROWS && !isStill);
    for (const element of free) element.hidden = true;
    for (const [row, at] of wanted) this.#place(this.#placed.get(row), row, at, chosen);
    if (isStill) this.#sort([...wanted.keys()].map((row) => this.#placed.get(row)));
    this.#sizer.style.height = `${rows.length * this.height}px`;
  }

  /** The elements that stand for no wanted row, of as many as there are places. */
  #free(wanted, places) {
    while (this.#elements.length < places) this.#elements.push(this.#sizer.appendChild(makeRow()));
    for (const row of [...this.#placed.keys()]) if (!wanted.has(row)) this.#placed.delete(row);
    const taken = new Set(this.#placed.values());
    return this.#elements.filter((element) => !taken.has(element));
  }

  #fill(element, row, isFading) {
    this.#placed.set(row, element);
    fillRow(element, row);
    element.hidden = false;
    element.classList.toggle("fresh", isFading);
  }

  #place(element, row, at, chosen) {
    const isChosen = keyOf(row) === chosen;
    element.style.transform = `translateY(${at * this.height}px)`;
    element.setAttribute("aria-rowindex", at + 2);
    element.classList.toggle("chosen", isChosen);
    element.classList.toggle("odd", row[N] % 2 === 1);
    element.firstChild.firstChild.tabIndex = isChosen ? 0 : -1;
  }

  /** Have the elements stand in the order in which they are seen. */
  #sort(elements) {
    const focused = document.activeElement;
    let next = this.#sizer.firstChild;
    for (const element of elements) {
      if (element === next) next = next.nextSibling;
      else this.#sizer.insertBefore(element, next);
    }
    if (this.#sizer.contains(focused)) focused.focus({ preventScroll: true });
  }
}

function makeRow() {
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

function fillRow(element, row) {
  const [time, kind, property, source, ea, ec, uid, size] = element.children;
  element.shown = row;
  element.dataset.kind = row[KIND];
  fillTime(time.firstChild, row);
  const tone = toneOf(row[KIND]);
  kind.className = `cell kind ${tone}`;
  kind.textContent = `${SHAPES[tone]} ${row[KIND]}`;
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
