/** Numbers, times and hostile strings as text. Pure: no document, no clock. */

const COUNT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const HIDDEN_CHARACTER = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffe\uffff]/gu;
const SHORT_ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0" };

/** The value that the server puts in the place of a redacted one. */
export const REDACTED = "▒▒▒▒";
export const UNKNOWN = "–";

export const count = (value) => (value == null ? UNKNOWN : COUNT.format(value));

export const rate = (value) => (value == null ? UNKNOWN : `${short(value)}/s`);

export const milliseconds = (value) => (value == null ? UNKNOWN : `${short(value)} ms`);

const short = (value) => (value < 10 ? TENTHS : COUNT).format(value);

export const percent = (share) => (share == null ? UNKNOWN : `${COUNT.format(share * 100)} %`);

/** Bytes in the unit that leaves one to three digits in front of the point. */
export function bytes(value) {
  if (value == null) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; value >= 1000 && at < units.length - 1; at++) value /= 1024;
  return `${at ? short(value) : count(value)} ${units[at]}`;
}

export function duration(seconds) {
  if (seconds == null) return UNKNOWN;
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([size]) => seconds >= size) ?? [1, "s"];
  return `${COUNT.format(Math.floor(seconds / size))} ${unit}`;
}

export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

export function clock(ms, isLocal = false) {
  if (ms == null) return UNKNOWN;
  return shifted(ms, isLocal).toISOString().slice(11, 23);
}

export function day(ms, isLocal = false) {
  return shifted(ms, isLocal).toISOString().slice(0, 10);
}

export const stamp = (ms, isLocal = false) =>
  ms == null ? UNKNOWN : `${day(ms, isLocal)} ${clock(ms, isLocal)}${isLocal ? "" : " UTC"}`;

function shifted(ms, isLocal) {
  const at = new Date(ms);
  return isLocal ? new Date(ms - at.getTimezoneOffset() * 60000) : at;
}

/** A path with a query, without its empty parameters. */
export function address(path, query = {}) {
  const filled = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  return filled.length ? `${path}?${new URLSearchParams(filled)}` : path;
}

/** Cut a string so that characters that nobody sees can be shown: a list of `{text}` and `{chip}`. */
export function pieces(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN_CHARACTER)) {
    if (match.index > from) found.push({ text: text.slice(from, match.index) });
    found.push({ chip: escaped(match[0]) });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ text: text.slice(from) });
  return found;
}

/** A string for a place that takes no elements, such as a tooltip. */
export const visible = (text) => text.replace(HIDDEN_CHARACTER, escaped);

function escaped(character) {
  const code = character.codePointAt(0);
  const hex = code.toString(16).padStart(4, "0");
  return SHORT_ESCAPES[character] ?? (code > 0xffff ? `\\u{${hex}}` : `\\u${hex}`);
}

export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** How much of what arrives a reader of the list sees, from a `coverage` message. */
export function coverageText({ seconds, seen, scanned, matched, shown }) {
  const span = seconds || 1;
  const read = scanned < seen ? ` · ${percent(scanned / seen)} of all read, the counts are of that part` : "";
  if (shown >= matched) return `${rate(matched / span)} match, all shown${read}`;
  const ratio = shown ? `1 in ${count(matched / shown)}` : "none";
  return `${rate(matched / span)} match · ${rate(shown / span)} shown (${ratio}), rare kinds first · narrow the filters to see all${read}`;
}
