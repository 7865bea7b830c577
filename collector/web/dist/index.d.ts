/** The package for bundlers. */
export { consent, flush, identify, init, page, reset, stats, track } from './api.js';
export type { Consent, Drop, Options, Stats, Switch, TrackEvent } from './types.js';
