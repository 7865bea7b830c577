/** The calls of a page. None throws: an error of ours must not break the shop. */

import { newId } from './ids.js'
import { pageContext, watchClicks, watchPages, watchTime } from './page.js'
import { startTracker, type Tracker } from './tracker.js'
import type { Consent, Options, Stats, Switch, TrackEvent } from './types.js'

/** By the name of their property. A page may have several: each call goes to all of them. */
const trackers = new Map<string, Tracker>()
/** Calls before `init`. */
const early: (() => void)[] = []
const MOST_EARLY = 50
const watching = new Set<unknown>()
/** When a call was made that is replayed, in Unix ms. */
let moment = 0

const safely =
  <Arguments extends unknown[], Result>(call: (...given: Arguments) => Result) =>
  (...given: Arguments): Result | null => {
    try {
      return call(...given)
    } catch {
      return null
    }
  }

/** Returns whether the call waits for `init`. */
const toAll = (call: (tracker: Tracker) => void): unknown =>
  trackers.size ? trackers.forEach(call) : window && early.push(() => trackers.forEach(call))

/** Start what a page tells by itself, once, whichever property asks for it. */
const watch = (value: Switch | undefined, start: (call: typeof track) => void) => {
  if (/^(true)?$/.test(value as string) && !watching.has(start)) {
    watching.add(start)
    start(track)
  }
}

/** Start the tracker of a property. A second call for the same property does nothing. */
export const init = safely((options: Options): void => {
  const name = options.id || `${options.portal}:${options.prop}`
  if (trackers.has(name)) return
  trackers.set(name, startTracker(options, name))
  early.splice(0).forEach((call) => safely(call)())
  watch(options.time, watchTime)
  watch(options.pages, watchPages)
  watch(options.clicks, watchClicks)
})

/**
 * Track an event. Returns its id, or null if it will not be sent: it is denied or too large, or the queue is full.
 * `track('view', 'product', {…})` is short for `track({ea: 'view', ec: 'product', …})`.
 */
export const track = safely((event: TrackEvent | string, ec?: string, more?: object): string | null => {
  if (early[MOST_EARLY - 1]) return null
  if (typeof event == 'string') event = { ...more, ea: event, ec: ec! }
  const id = `${event.event_id || newId()}`
  const whole = { ...event, event_id: id, et: event.et || moment || Date.now(), context: { ...pageContext(), ...event.context } }
  let kept: string | null = null
  return toAll((tracker) => (kept = tracker._track(whole) || kept)) ? id : kept
})

/** Track a view of this page. */
export const page = (more?: object): string | null => track('view', 'page', more)

/** The user is known from now on, or no more. */
export const identify = safely((uid?: string | null) => toAll((tracker) => tracker._identify(uid)))

/** Another person uses the device: forget user, device id and session. */
export const reset = safely(() => toAll((tracker) => tracker._reset()))

/** Tell the visitor's choice. Returns what holds now, which a browser that asks for privacy may cap. */
export const consent = safely((choice?: Consent): Consent | undefined => {
  let mode
  toAll((tracker) => (mode = tracker._consent(choice)))
  return mode
})

/** Send at once. Returns whether all events are stored; before `init`, none is. */
export const flush = async (): Promise<boolean> =>
  !early[0] && (await Promise.all([...trackers.values()].map((tracker) => tracker._flush()))).every(Boolean)

/** What can't be read, of a storage that broke, counts as 0. */
export const stats = (): Stats => {
  const sum = { queued: 0, flying: 0, lost: 0 }
  trackers.forEach((tracker) => safely(tracker._stats)(sum))
  return sum
}

/** Make the calls that a stub queued, each with its time in Unix ms. */
export const replay = (queue: [number, unknown[]][] | undefined, call: (...given: any[]) => unknown): void => {
  queue?.forEach(
    safely(([at, given]) => {
      moment = at
      call(...given)
    }),
  )
  moment = 0
}
