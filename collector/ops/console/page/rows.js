/**
 * The live list: a fixed pool of row elements, one paint a frame. To make elements for each arrival would block the page at a
 * few hundred rows a second.
 *
 * It pauses when the reader scrolls away or chooses a row, and holds still while the mouse moves over it: then new rows are
 * counted, and none is inserted under the pointer.
 */
import { ID, Pool, keyOf } from "./row.js";
import { cell, isLocalTime } from "./state.js";

const MOST_ROWS = 2000;
const HOLD_MS = 1200;

class RowList {
  state = cell({ isPaused: false, waiting: 0, count: 0, chosen: null });
  /** Newest first. */
  #rows = [];
  #waiting = [];
  #missed = 0;
  #repeated = new Set();
  #filter = null;
  #pool = null;
  #scroller = null;
  #frame = 0;
  #held = 0;
  #open = () => {};

  /** Show the list in these elements, and call `open(row)` for a row that is chosen. Returns how to end it. */
  attach(scroller, sizer, open) {
    this.#scroller = scroller;
    this.#pool = new Pool(scroller, sizer);
    this.#open = open;
    const ends = [
      listen(scroller, "scroll", () => this.#scrolled(), { passive: true }),
      listen(scroller, "pointermove", (event) => event.pointerType === "mouse" && this.#hold()),
      listen(scroller, "pointerleave", () => this.#release()),
      listen(scroller, "click", (event) => this.#clicked(event)),
      listen(scroller, "keydown", (event) => this.#pressed(event)),
      isLocalTime.watch(() => (this.#pool.forget(), this.#schedule())),
    ];
    const observer = new ResizeObserver(() => (this.#pool.measure(), this.#schedule()));
    observer.observe(scroller);
    return () => {
      ends.forEach((end) => end());
      observer.disconnect();
      this.#detach();
    };
  }

  /** Add rows that arrived, oldest first. */
  push(arrived) {
    const newest = arrived.filter((row) => !this.#repeated.has(withoutNumber(row))).toReversed();
    if (this.#isStill()) {
      this.#waiting.unshift(...newest);
      this.#missed += newest.length;
      this.#waiting.length = Math.min(this.#waiting.length, MOST_ROWS);
    } else {
      this.#add(newest);
    }
    this.#schedule();
  }

  /** A new admin process sends again what is there: leave that out. */
  expectRepeats() {
    this.#repeated = new Set([...this.#rows, ...this.#waiting].map(withoutNumber));
  }

  /** Add older rows behind the last one. */
  append(older) {
    this.#rows = [...this.#rows, ...older].slice(0, MOST_ROWS);
    this.#schedule();
  }

  get isFull() {
    return this.#rows.length >= MOST_ROWS;
  }

  clear() {
    this.#rows = [];
    this.#waiting = [];
    this.#missed = 0;
    this.#repeated.clear();
    this.#filter = null;
    this.#set({ isPaused: false, chosen: null });
    if (this.#scroller) this.#scroller.scrollTop = 0;
    this.#schedule();
  }

  filter(holds) {
    this.#filter = holds;
    if (this.#scroller) this.#scroller.scrollTop = 0;
    this.#schedule();
  }

  pause() {
    this.#set({ isPaused: true });
  }

  /** Go on at the newest row. */
  resume() {
    this.#set({ isPaused: false, chosen: null });
    if (this.#scroller) this.#scroller.scrollTop = 0;
    this.#merge();
  }

  toggle() {
    if (this.state.get().isPaused) this.resume();
    else this.pause();
  }

  /** Choose the row that stands `step` rows below the chosen one, or the first one in sight; returns it. */
  step(step) {
    const shown = this.#shown();
    const chosen = shown.findIndex((row) => keyOf(row) === this.state.get().chosen);
    const first = this.#pool ? Math.ceil(this.#scroller.scrollTop / this.#pool.height) : 0;
    const at = Math.min(shown.length - 1, Math.max(0, chosen < 0 ? first : chosen + step));
    if (shown[at]) this.choose(shown[at]);
    return shown[at];
  }

  /** Choose a row, which pauses the list, and bring it in sight. */
  choose(row) {
    this.#set({ isPaused: true, chosen: keyOf(row) });
    this.#pool?.reveal(this.#shown().indexOf(row));
    this.#schedule();
  }

  unchoose() {
    this.#set({ chosen: null });
    this.#schedule();
  }

  chosenRow() {
    return this.#rows.find((row) => keyOf(row) === this.state.get().chosen);
  }

  find(id) {
    return this.#rows.find((row) => row[ID] === id);
  }

  #detach() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#pool = this.#scroller = null;
  }

  #shown() {
    return this.#filter ? this.#rows.filter(this.#filter) : this.#rows;
  }

  #isStill() {
    return this.state.get().isPaused || this.#held !== 0;
  }

  #add(newest) {
    this.#rows.unshift(...newest);
    this.#rows.length = Math.min(this.#rows.length, MOST_ROWS);
  }

  #merge() {
    this.#add(this.#waiting);
    this.#waiting = [];
    this.#missed = 0;
    this.#schedule();
  }

  #set(changes) {
    const old = this.state.get();
    const next = { ...old, waiting: this.#missed, ...changes };
    if (Object.keys(next).some((name) => next[name] !== old[name])) this.state.set(next);
  }

  #hold() {
    clearTimeout(this.#held);
    this.#held = setTimeout(() => this.#release(), HOLD_MS);
  }

  #release() {
    clearTimeout(this.#held);
    this.#held = 0;
    if (!this.state.get().isPaused) this.#merge();
  }

  #scrolled() {
    if (this.#scroller.scrollTop > this.#pool.height / 2 && !this.state.get().isPaused) this.pause();
    this.#schedule();
  }

  #clicked(event) {
    const element = event.target.closest("[role=row]");
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) && event.button === 0;
    if (!element?.shown || !isPlain) return;
    event.preventDefault();
    this.#open(element.shown);
  }

  #pressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      this.step(step);
    } else if (event.key === "Enter" && event.target === this.#scroller && this.chosenRow()) {
      event.stopPropagation();
      this.#open(this.chosenRow());
    }
  }

  #schedule() {
    if (!this.#frame && this.#scroller) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    this.#frame = 0;
    const shown = this.#shown();
    this.#pool.paint(shown, { chosen: this.state.get().chosen, isStill: this.#isStill() });
    this.#set({ count: shown.length });
  }
}

const withoutNumber = (row) => row.slice(ID).join();

function listen(target, name, listener, options) {
  target.addEventListener(name, listener, options);
  return () => target.removeEventListener(name, listener, options);
}

/** The list outlives its view, so that it is as it was when the reader comes back. */
export const rows = new RowList();
