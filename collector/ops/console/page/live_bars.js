/** The last five minutes of Live as bars, which are a filter, too. */
import { html } from "./preact.js";
import { Bars, buckets } from "./chart.js";
import { useSeries } from "./series.js";
import { rate } from "./text.js";

const STEP_S = 5;
export const BAR_MS = STEP_S * 1000;
const NAMES = ["stored", "rejected", "shed"];
const SECONDS = 300;

export function LiveBars({ chosenMs, choose }) {
  const { series } = useSeries(NAMES, SECONDS);
  if (!series) return html`<div class="both-bars" aria-hidden="true"></div>`;
  const firstMs = Math.ceil(series.first_ms / BAR_MS) * BAR_MS;
  const from = Math.round((firstMs - series.first_ms) / 1000 / series.step_s);
  const barsOf = (list) => wholeBars(list.slice(from), STEP_S / series.step_s);
  const { stored, rejected, shed } = series.values;
  const refused = rejected.map((value, at) => (value == null ? null : value + (shed[at] ?? 0)));
  const shared = { firstMs, stepS: STEP_S, format: rate, chosenMs, choose };
  return html`<div class="both-bars">
    <${Bars} label="stored, 5 min" tone="accent" values=${barsOf(stored)} ...${shared} />
    <${Bars} label="refused, 5 min" tone="warn" values=${barsOf(refused)} ...${shared} />
  </div>`;
}

/** Bars that begin at whole steps; the newest may be of less than a step. */
const wholeBars = (list, size) => {
  const rest = list.length % size;
  const whole = buckets(rest ? list.slice(0, -rest) : list, size);
  return rest ? [...whole, ...buckets(list.slice(-rest), rest)] : whole;
};
