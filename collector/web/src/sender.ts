/** The sender of one property: what goes out when, and what becomes of it. See the guide for the table of answers. */

import { timeOf } from './ids.js'
import { openLock } from './lock.js'
import { on } from './on.js'
import { bytesOf, type Store } from './store.js'
import type { Drop, Options } from './types.js'

const DAY = 864e5
/** How long an event rests that was sent and whose answer this page can't see, in ms: another page may see it. */
const REST = 1e4
const TIMEOUT = 1e4
/** How long a page is quiet after 3 requests without any answer, in ms. */
const QUIET = 6e4
const MOST_EVENTS = 50
const MOST_BYTES = 48e3
/** Bytes of all requests that may outlive the page: the browser allows 64 KiB, for all scripts of the page together. */
const MOST_KEEPALIVE = 6e4
const HOUR = 36e5

interface Answer {
  code?: string
  type?: string
  an_session?: string
  rejected?: { index: number }[]
}

/** Key, JSON, and when it was first sent. */
type Picked = [key: string, json: string, tried: number]

export interface Queue {
  /** Events of all tabs, and the length of their JSON: at least so much, and exact after each look at the queue. */
  _count: number
  _length: number
  /** Whether the visitor lets us send. */
  _isOn(): boolean
  _drop(json: string, why: Drop, detail?: unknown): void
}

export const startSender = (options: Options, query: string, name: string, store: Store, queue: Queue) => {
  /** The keys of events in requests, each with what ends its request. */
  const flying = new Map<string, AbortController>()
  const locked = openLock(name, store)
  let generation = 0
  let running: Promise<boolean> | 0 = 0
  let timer = 0
  let due = 0
  let failures = 0
  /** Requests without any answer; none counts once this page has seen an answer. */
  let silences = 0
  /** No request of this page before, on the clock of `performance`. */
  let quietUntil = 0
  let most = MOST_EVENTS
  let keptAlive = 0
  /** How soon the first event that rests may go out, in ms. */
  let rest = 0
  let release: (wait: number) => void

  const hasWork = () => navigator.onLine && store._keys('e')[0]

  /** Look at the queue in so many ms, unless that is planned for an earlier time. */
  const wake = (ms: number) => {
    const at = performance.now() + ms
    if (timer && due <= at) return
    clearTimeout(timer)
    due = at
    timer = setTimeout(run, ms) as unknown as number
  }

  /** The events that may go out now, oldest first. */
  const pick = (bytes: number, events: number): Picked[] => {
    const now = Date.now()
    const picked: Picked[] = []
    if (!queue._isOn()) return picked
    rest = queue._count = queue._length = 0
    for (const key of store._keys('e')) {
      const value = store._get(key)
      if (!value) continue // another tab was faster
      const tried = parseInt(value)
      const json = value.slice(value.indexOf('{'))
      const age = now - (tried || timeOf(key))
      if (age > (tried ? DAY : 7 * DAY)) {
        store._remove(key)
        queue._drop(json, 'expired')
        continue
      }
      queue._count++
      queue._length += value.length
      if (flying.has(key)) continue
      if (tried && age >= 0 && age < REST) rest ||= REST - age
      else if (picked.length < events && (bytes -= bytesOf(json) + 32) > 0) picked.push([key, json, tried || now])
      else bytes = 0 // keep the order
    }
    return picked
  }

  /** What an answer makes of a batch. Returns in how many ms to go on. */
  const settle = (batch: Picked[], device: string | false | undefined, response: Response, answer?: Answer): number => {
    const rejected = answer?.rejected
    // it is no use to send them again, and the collector has them in its dead letters
    const areRefused = response.status == 413 || answer?.code == 'invalid_event'
    // an answer of a captive portal has no such type
    const areStored = response.headers.get('x-event-ack') || /^(event|batch)$/.test(answer?.type!)
    if (areStored || (areRefused && (rejected || !batch[1]))) {
      failures = 0
      most = MOST_EVENTS
      batch.forEach(([key, json], index) => {
        const fault = store._get(key) && (rejected?.find((each) => each.index == index) || (areRefused && { ...answer }))
        store._remove(key)
        if (fault) queue._drop(json, 'rejected', fault)
      })
      if (answer?.an_session && device && device == store._get('a')) store._set('s', answer.an_session)
      return 0
    }
    // what became of them is known, so they need not rest; by a clock that is set back they would look a day old
    batch.forEach(([key, json, tried]) => store._get(key) && store._set(key, Math.min(tried, Math.max(tried, Date.now()) - REST) + json))
    if (areRefused) {
      most = batch.length >> 1
      return 0
    }
    const retryAfter = +response.headers.get('retry-after')!
    const seconds = retryAfter
      ? Math.max(1, retryAfter)
      : /40[0-5]|414|431/.test(`${response.status}`)
        ? 600 // the settings of page or collector are wrong, and somebody must mend them
        : Math.min(2 ** failures, 300)
    const wait = Math.min(seconds * (1 + Math.random() / 2) * 1e3, HOUR)
    failures++
    store._set('w', Date.now() + wait)
    return wait
  }

  const send = async (batch: Picked[], isLeaving?: boolean): Promise<number> => {
    const mine = generation
    const now = Date.now()
    const events = batch.map(([, json]) => `${json.slice(0, -1)},"sent_at":${now}}`)
    const body = events[1] ? `[${events}]` : events[0]!
    const size = bytesOf(body)
    const device = store._get('a')
    const token = store._get('s')
    const url = `${options.url}?${query}&resp_type=json&queued=${+!isLeaving}&an_session=${token || ''}`
    batch.forEach(([key, json, tried]) => store._set(key, tried + json))
    const keepalive = isLeaving || (size < 16e3 && keptAlive + size < MOST_KEEPALIVE && !failures)
    /** Of status 0, for as long as no answer came. */
    let response = Response.error()
    let answer
    const controller = new AbortController()
    const timeout = setTimeout(() => controller.abort(), TIMEOUT)
    batch.forEach(([key]) => flying.set(key, controller))
    if (keepalive) keptAlive += size
    try {
      response = await fetch(url, { method: 'POST', body, keepalive, redirect: 'error', credentials: (device && options.credentials) || 'omit', signal: controller.signal })
      answer = JSON.parse(await response.text())
    } catch {}
    clearTimeout(timeout)
    if (mine != generation) return 0
    if (keepalive) keptAlive -= size
    batch.forEach(([key]) => flying.delete(key))
    if (response.status) silences = NaN
    // an ad blocker, a policy of the page or a refused origin, else a collector that is down for long
    else if (++silences > 2) quietUntil = performance.now() + QUIET
    const wait = settle(batch, !isLeaving && device, response, answer)
    if (isLeaving) wake(wait)
    return wait
  }

  /** Send the next batch. Returns in how many ms to go on. */
  const attempt = async (): Promise<number> => {
    if (!hasWork()) return HOUR
    const wait = Math.max((+store._get('w')! || 0) - Date.now(), quietUntil - performance.now())
    // one that is further away was written before the clock changed
    if (wait > 0 && wait <= HOUR) return wait
    return locked(async () => {
      const batch = pick(MOST_BYTES, most)
      return batch[0] ? Promise.race([send(batch), new Promise<number>((done) => (release = done))]) : rest || REST
    })
  }

  /** Returns whether the queue got shorter. As long as an event waits and nothing flies, a timer runs. */
  const run = (): Promise<boolean> => {
    const mine = generation
    timer = 0
    return (running ||= attempt()
      .catch(() => REST)
      .then((wait) => {
        if (mine == generation) {
          running = 0
          if (hasWork()) wake(wait)
        }
        return !wait
      }))
  }

  /** The page may be gone after this, with its timers. What it sends stays in the queue until an answer is seen. */
  const leave = () => {
    const batch = pick(MOST_KEEPALIVE - keptAlive, Infinity)
    if (batch[0] && navigator.onLine) send(batch, true).catch(() => wake(REST))
  }

  /** Answers that are still to come belong to an earlier life of the page. */
  const forget = () => {
    flying.forEach((controller) => controller.abort())
    generation++
    flying.clear()
    running = keptAlive = 0
  }

  on(window, 'visibilitychange', () => (document.hidden ? leave() : wake(0)))
  on(window, 'pagehide', () => {
    leave()
    release?.(REST) // a page that holds a lock is not kept for the way back
  })
  on(window, 'pageshow', (event) => {
    if (event.persisted) {
      forget()
      wake(0)
    }
  })
  on(window, 'online', () => {
    failures = quietUntil = 0
    store._remove('w')
    wake(0)
  })

  return {
    _wake: wake,
    _flying: flying,
    _pick: pick,

    async _flush() {
      while (hasWork() && (await run()));
      return !store._keys('e')[0]
    },

    /** The visitor takes the consent back: nothing more goes out. */
    _abort: forget,
  }
}
