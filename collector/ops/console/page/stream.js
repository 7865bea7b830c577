/** The one stream of this tab. It opens again by itself, and is closed while nobody looks at the tab. */
import { errorOf, withQuery } from "./api.js";
import { connection, jobUpdates, now, session } from "./state.js";

const HIDDEN_MS = 10_000;
/** Browsers allow six connections to a host: hidden tabs would take them from the one that is looked at. */
const WAITS_S = [1, 2, 4, 8, 15];
const TOPICS = ["hello", "rows", "coverage", "gap", "now", "job", "bye"];

class Stream {
  #source = null;
  #wanted = null;
  #after = "";
  #failures = 0;
  #timer = 0;
  #hiding = 0;
  #listeners = new Map(TOPICS.map((topic) => [topic, new Set()]));

  /** Have these topics and filters from now on. `after`: the id of the last row that is already there. */
  want(topics, filters = {}, after = "") {
    const wanted = JSON.stringify([topics, filters]);
    if (wanted === this.#wanted && this.#source) return;
    this.#wanted = wanted;
    this.#after = after;
    this.#failures = 0;
    this.#open();
  }

  /** Call a function with the data of each message; returns how to stop it. */
  on(topic, listener) {
    this.#listeners.get(topic).add(listener);
    return () => void this.#listeners.get(topic).delete(listener);
  }

  /** Close it after a while in which the tab is hidden, and open it again where it was. */
  watchVisibility() {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.#hiding);
      if (document.hidden) this.#hiding = setTimeout(() => this.close(), HIDDEN_MS);
      else if (!this.#source && this.#wanted) this.#open();
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** Try again at once. */
  retry() {
    if (this.#wanted) this.#open();
  }

  #open() {
    this.close();
    const [topics, filters] = JSON.parse(this.#wanted);
    const source = new EventSource(withQuery("/api/stream", { topics, ...filters, after: this.#after }));
    this.#source = source;
    for (const topic of TOPICS) source.addEventListener(topic, (message) => this.#take(topic, message));
    source.onerror = () => this.#source === source && this.#fail(source);
  }

  #take(topic, message) {
    const data = JSON.parse(message.data);
    if (message.lastEventId) this.#after = message.lastEventId;
    if (topic === "hello") this.#greet(data);
    else if (topic === "now") now.set({ ...data, at: performance.now() });
    else if (topic === "job") jobUpdates.set({ ...jobUpdates.get(), [data.id]: data });
    else if (topic === "bye") this.#wait(data.retry_ms / 1000, `The collector ended the stream: ${data.reason}.`);
    for (const listener of this.#listeners.get(topic)) listener(data, message.lastEventId);
  }

  #greet(hello) {
    this.#failures = 0;
    const { actions, redacted, node, version } = hello;
    session.set({ ...session.get(), actions, redacted, node, version });
    connection.set({ state: "open", message: "", retryAt: 0, hellos: connection.get().hellos + 1 });
  }

  /** An EventSource does not tell why it failed: ask the same address once. */
  async #fail(source) {
    const url = source.url;
    source.close();
    const seconds = WAITS_S[Math.min(this.#failures++, WAITS_S.length - 1)];
    this.#wait(seconds, "Connection lost.");
    const error = await refusalOf(url);
    if (error && this.#source === source) this.#wait(error.retryAfter ?? seconds, error.message, "refused");
  }

  #wait(seconds, message, state = "lost") {
    this.#source?.close();
    clearTimeout(this.#timer);
    connection.set({ ...connection.get(), state, message, retryAt: performance.now() + seconds * 1000 });
    if (!document.hidden) this.#timer = setTimeout(() => this.#open(), seconds * 1000);
    else this.#source = null;
  }
}

/** The error with which an address refuses, or null if it can't be reached or works now. */
async function refusalOf(url) {
  const abort = new AbortController();
  try {
    const answer = await fetch(url, { signal: abort.signal, headers: { accept: "text/event-stream" } });
    return answer.ok ? null : await errorOf(answer);
  } catch {
    return null;
  } finally {
    abort.abort();
  }
}

export const stream = new Stream();
