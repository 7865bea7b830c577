/** The calls of a page. None throws: an error of ours must not break the shop. */
import type { Consent, Options, Stats, TrackEvent } from './types.js';
/** Start the tracker of a property. A second call for the same property does nothing. */
export declare const init: (options: Options) => void | null;
/**
 * Track an event. Returns its id, or null if it will not be sent: it is denied or too large, or the queue is full.
 * `track('view', 'product', {…})` is short for `track({ea: 'view', ec: 'product', …})`.
 */
export declare const track: (event: string | TrackEvent, ec?: string | undefined, more?: object | undefined) => string | null;
/** Track a view of this page. */
export declare const page: (more?: object) => string | null;
/** The user is known from now on, or no more. */
export declare const identify: (uid?: string | null | undefined) => unknown;
/** Another person uses the device: forget user, device id and session. */
export declare const reset: () => unknown;
/** Tell the visitor's choice. Returns what holds now, which a browser that asks for privacy may cap. */
export declare const consent: (choice?: Consent | undefined) => Consent | null | undefined;
/** Send at once. Returns whether all events are stored; before `init`, none is. */
export declare const flush: () => Promise<boolean>;
/** What can't be read, of a storage that broke, counts as 0. */
export declare const stats: () => Stats;
/** Make the calls that a stub queued, each with its time in Unix ms. */
export declare const replay: (queue: [number, unknown[]][] | undefined, call: (...given: any[]) => unknown) => void;
