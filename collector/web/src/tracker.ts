/** The tracker of one property: the visitor's consent, and the queue's front end. */

import { newId } from './ids.js'
import { on } from './on.js'
import { type Queue, startSender } from './sender.js'
import { bytesOf, openStore } from './store.js'
import type { Consent, Drop, Options, Stats, TrackEvent } from './types.js'

const MOST_HELD = 50
const MOST_EVENTS = 400
/** Characters of the whole queue. */
const MOST_LENGTH = 262144
/** Bytes of one event. */
const MOST_BYTES = 16384
/** That an event was never sent: as long as a time in ms, which takes its place also where the disk is full. */
const NEVER = '0000000000000'
/** How soon events go out, in ms: those of one moment go together. */
const DELAY = 100
/** How soon another tab looks after events of this one, in ms. */
const PATIENCE = 5e3

export type Tracker = ReturnType<typeof startTracker>

export const startTracker = (options: Options, name: string) => {
  const prefix = `tl1:${name}:`
  const store = openStore(prefix, options.cookie)
  /** Events, as JSON, that wait for the visitor's choice. */
  const held: string[] = []
  let mode: Consent = 'pending'
  let uid = options.uid

  const isOn = () => mode == 'granted' || mode == 'anonymous'

  const lost = () => +store._get('n')! || 0

  /** The event will not arrive. What nobody refused is counted, and the next event carries the count. */
  const drop = (event: TrackEvent, why: Drop, detail?: unknown): null => {
    const more = +/full|expired/.test(why) + (+event.lost! || 0)
    if (more) store._set('n', lost() + more)
    try {
      options.onDrop?.(event, why, detail)
    } catch {}
    return null
  }

  const query = options.id ? `id=${options.id}` : `portal_id=${options.portal}&prop_id=${options.prop}`
  const queue: Queue = {
    _count: MOST_EVENTS,
    _length: 0,
    _isOn: isOn,
    _drop: (json, why, detail) => drop(JSON.parse(json), why, detail),
  }
  const sender = startSender(options, query, prefix, store, queue)

  const deviceId = () => store._get('a') || (store._set('a', newId()), store._get('a'))

  /** Put an event into the queue. Returns its id, or null if there is no room. */
  const add = (event: TrackEvent): string | null => {
    if (mode == 'granted') event = { aid: deviceId(), ...event }
    else event = { ...event, aid: undefined, uid: undefined, sid: undefined }
    // half of a surrogate pair, which a page makes when it cuts a text: the collector refuses it
    let json = JSON.stringify(event).replace(/\\(\\|ud\w{3})/g, (found) => (found[2] ? '\\ufffd' : found))
    if (bytesOf(json) > MOST_BYTES) return drop(event, 'too_large')
    const isFull = () => queue._count >= MOST_EVENTS || queue._length + json.length > MOST_LENGTH
    if (isFull()) sender._pick(0, 0) // which counts anew
    if (isFull()) return drop(event, 'full')
    // by an event with an id of ours: one with the id of an order may be there already, and is not counted again
    if (lost() && event.event_id![35]) {
      json = `${json.slice(0, -1)},"lost":${lost()}}`
      store._remove('n')
    }
    store._set('e' + newId(), NEVER + json)
    queue._count++
    queue._length += json.length
    sender._wake(DELAY)
    return event.event_id!
  }

  /** `choice` is the visitor's; a browser that asks for privacy caps it. */
  const setConsent = (choice: Consent): void => {
    if ((document as any).prerendering) return on(document, 'prerenderingchange', () => setConsent(choice))
    const cap = options.gpc || 'anonymous'
    mode = choice
    if (isOn() && cap != 'ignore' && ((navigator as any).globalPrivacyControl || (navigator as any).doNotTrack == 1)) mode = cap
    if (mode == 'pending') return store._use()
    // the count moves to where the events will be
    let before = lost()
    store._remove('n')
    store._use(true)
    if (mode == 'granted') store._set('c', mode)
    else {
      // From now on nothing is on the device. Events that were agreed to go out from memory, unless all is denied.
      before += lost() // of an earlier page
      const events = store._keys('e').map((key) => [key, store._get(key)!] as const)
      const isShared = store._get('c')
      store._keys('').concat('a', 's').forEach(store._remove)
      if (isShared) {
        store._set('c', mode) // other tabs see this change
        store._remove('c')
      }
      store._use()
      if (!isOn()) {
        sender._abort()
        events.map(([, value]) => value.slice(value.indexOf('{'))).concat(held.splice(0)).forEach((json) => queue._drop(json, 'denied'))
        return store._remove('n')
      }
      events.forEach(([key, value]) => store._set(key, value))
    }
    if (before) store._set('n', before + lost())
    held.splice(0).forEach((json) => isOn() && add(JSON.parse(json)))
    sender._wake(DELAY)
  }

  on(window, 'storage', ({ key, newValue, storageArea }) => {
    if (key == prefix + 'c' && newValue) {
      // a page that was frozen hears late of a choice that may hold no more
      const now = storageArea[key]
      if (now || newValue != 'granted') setConsent(now || newValue)
    }
    if (newValue && key.startsWith(prefix + 'e')) {
      // one that is written again counts twice, until all are counted anew
      queue._count++
      queue._length += newValue.length
      sender._wake(PATIENCE)
    }
  })
  // a page on the way back may not have heard of a denial
  on(window, 'pageshow', (event) => event.persisted && mode == 'granted' && !store._get('c') && setConsent('denied'))
  store._use(true)
  const known = options.consent || (store._get('c') as Consent)
  store._use()
  setConsent(known || mode)

  return {
    _track(event: TrackEvent): string | null {
      event = { uid, ...event }
      if (mode != 'pending') return isOn() ? add(event) : drop(event, 'denied')
      if (held.length >= MOST_HELD) return drop(event, 'full')
      held.push(JSON.stringify(event))
      return event.event_id!
    },
    _identify(id?: string | null) {
      uid = id || undefined
    },
    _reset() {
      uid = undefined
      store._use(true) // of an earlier grant, while no choice is made
      ;['a', 's'].forEach(store._remove)
      store._use(mode == 'granted')
    },
    _consent(choice?: Consent): Consent {
      if (choice) {
        if (mode == 'granted') store._set('c', mode) // which the page may have cleared: else nobody hears of a denial
        setConsent(choice)
      }
      return mode
    },
    _flush: sender._flush,
    _stats(sum: Stats) {
      sum.queued += held.length + store._keys('e').length
      sum.flying += sender._flying.size
      sum.lost += lost()
    },
  }
}
