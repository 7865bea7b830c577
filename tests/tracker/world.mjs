// A browser profile, a network and a collector in virtual time: tabs run the built tracker, and nothing waits for a clock.
import { readFileSync } from 'node:fs'

const SCRIPT = readFileSync(new URL('../../collector/web/dist/t.js', import.meta.url), 'utf8')
const NAMES = [
  'window', 'document', 'navigator', 'localStorage', 'location', 'history', 'fetch', 'setTimeout', 'clearTimeout',
  'performance', 'Date', 'Request', 'AbortController',
]
const PROGRAM = new Function(...NAMES, SCRIPT)
const HOUR = 3600e3
export const DAY = 24 * HOUR
const DEDUP_WINDOW = 26 * HOUR

// Mulberry32: a seed gives the same world again.
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

// What the collector stored, and how it answers now.
export class Collector {
  stored = new Map() // by event id: when it was stored last, and how many times
  refused = new Set()
  told = 0 // the sum of `lost`
  copies = 0
  answer = () => ({ status: 200 })

  // Takes a request at `now`. Returns its answer, or null where none comes.
  take(body, now) {
    const answer = this.answer()
    if (!answer.takes && (answer.isForeign || answer.status !== 200)) return answer.status ? answer : null
    const events = [JSON.parse(body)].flat()
    const rejected = []
    events.forEach((event, index) => {
      if (event.ea === 'bad') return this.refused.add(event.event_id), rejected.push({ index })
      const earlier = this.stored.get(event.event_id)
      this.copies++
      if (earlier && now - earlier.at < DEDUP_WINDOW) return
      this.told += event.lost ?? 0
      this.stored.set(event.event_id, { at: now, times: (earlier?.times ?? 0) + 1 })
    })
    if (answer.isLost) return null
    if (answer.status !== 200) return answer
    const isBatch = Array.isArray(JSON.parse(body))
    if (!isBatch && rejected.length) return { status: 400, json: { code: 'invalid_event' } }
    return { status: rejected.length === events.length ? 400 : 200, json: { type: isBatch ? 'batch' : 'event', rejected, an_session: 'token' } }
  }
}

export class World {
  now = 1.8e12
  skew = 0 // of the device's clock
  isOnline = true
  isFull = false
  isPrerendering = false
  hasLocks = true
  disk = new Map()
  requests = 0 // that pages have begun
  tabs = []
  collector = new Collector()
  latency = () => 5 + this.chance() * (this.chance() < 0.1 ? 4000 : 200) // ms, of one way
  #agenda = [] // what happens when: {at, act}
  #locks = new Map()

  constructor(chance) {
    this.chance = chance
  }

  at(delay, act) {
    const entry = { at: this.now + Math.max(0, delay), act }
    this.#agenda.push(entry)
    return entry
  }

  // Let time pass: everything that is due happens in its order, and each thing is over before the next.
  async pass(ms) {
    const end = this.now + ms
    for (;;) {
      let next
      for (const entry of this.#agenda) if (entry.at <= end && (!next || entry.at < next.at)) next = entry
      if (!next) break
      this.#agenda.splice(this.#agenda.indexOf(next), 1)
      this.now = Math.max(this.now, next.at)
      next.act()
      await settled()
    }
    this.now = end
    await settled()
  }

  // The state of a lock's holder ends with its tab.
  requestLock(tab, name, { steal }, callback) {
    return new Promise((resolve, reject) => {
      const holder = this.#locks.get(name)
      if (holder?.tab.isAlive && !steal) return resolve(Promise.resolve().then(() => callback(null)))
      if (holder && steal) holder.reject(new Error('AbortError'))
      const mine = { tab, reject }
      this.#locks.set(name, mine)
      const free = () => this.#locks.get(name) === mine && this.#locks.delete(name)
      Promise.resolve()
        .then(() => callback({}))
        .finally(free)
        .then(resolve, reject)
    })
  }

  releaseLocksOf(tab) {
    for (const [name, holder] of this.#locks) if (holder.tab === tab) this.#locks.delete(name)
  }

  write(key, value, writer) {
    if (value !== undefined && this.isFull && value.length > (this.disk.get(key)?.length ?? 0)) throw new Error('QuotaExceededError')
    const oldValue = this.disk.get(key) ?? null
    if (value === undefined) this.disk.delete(key)
    else this.disk.set(key, value)
    const storageArea = { [key]: undefined }
    Object.defineProperty(storageArea, key, { get: () => this.disk.get(key) })
    const event = { key, oldValue, newValue: value ?? null, storageArea }
    if (oldValue === event.newValue) return
    for (const tab of this.tabs) if (tab !== writer) this.at(1 + this.chance() * 20, () => tab.happens('storage', event))
  }

  open(options) {
    const tab = new Tab(this, options)
    this.tabs.push(tab)
    return tab
  }
}

const settled = () => new Promise((done) => setImmediate(done))

// A page in a tab. It ends with `close`; while it is frozen, nothing in it runs.
export class Tab {
  isAlive = true
  isFrozen = false
  errors = []
  timers = new Set()
  drops = [] // [event id, why]
  #listeners = {}
  #waiting = [] // what happens when it is no longer frozen

  constructor(world, options) {
    this.world = world
    const tab = this
    this.started = world.now
    const listen = (type, listener) => (this.#listeners[type] ??= []).push(listener)
    this.window = { addEventListener: listen }
    this.document = { addEventListener: listen, hidden: false, prerendering: world.isPrerendering, title: '', referrer: '', currentScript: null, cookie: '' }
    const locks = { request: (name, given, callback) => world.requestLock(tab, name, given, (lock) => tab.isAlive && callback(lock)) }
    const navigator = {
      get onLine() {
        return world.isOnline
      },
      locks: world.hasLocks ? locks : undefined,
    }
    const location = { href: 'https://shop.example.com/', search: '', host: 'shop.example.com' }
    const clock = class extends Date {
      static now() {
        return Math.floor(world.now + world.skew)
      }
    }
    PROGRAM(
      this.window, this.document, navigator, this.#storage(), location, {}, this.#fetch, this.#setTimeout,
      (timer) => this.timers.delete(timer), { now: () => world.now - this.started }, clock, Request, AbortController,
    )
    this.call = this.window.tracklog
    this.call('init', { url: 'https://c.example.com/event', id: 'shop', onDrop: (event, why) => this.drops.push([event.event_id, why]), ...options })
  }

  // An event of the page. A frozen page gets it later, a closed one never.
  happens(type, event = {}) {
    this.#run(() => this.#listeners[type]?.forEach((listener) => listener(event)))
  }

  #run(act) {
    if (!this.isAlive) return
    if (this.isFrozen) this.#waiting.push(act)
    else {
      try {
        act()
      } catch (error) {
        this.errors.push(String(error))
      }
    }
  }

  thaw() {
    this.isFrozen = false
    this.#waiting.splice(0).forEach((act) => this.#run(act))
  }

  hide() {
    this.document.hidden = true
    this.happens('visibilitychange')
  }

  show() {
    this.document.hidden = false
    this.happens('visibilitychange')
  }

  // The page goes, as at a navigation: its listeners run, then nothing does.
  leave() {
    if (this.world.chance() < 0.5) this.hide()
    this.happens('pagehide', { persisted: false })
    this.kill()
  }

  // The renderer crashes.
  kill() {
    this.isAlive = false
    this.world.releaseLocksOf(this)
    this.world.tabs = this.world.tabs.filter((tab) => tab !== this)
  }

  // The page goes into the back-forward cache, and is back after `ms`.
  visitElsewhere(ms) {
    this.happens('pagehide', { persisted: true })
    this.world.at(1, () => {
      if (this.world.chance() < 0.5) this.world.releaseLocksOf(this)
      this.isFrozen = true
    })
    this.world.at(ms + 2, () => {
      this.thaw()
      this.document.hidden = false
      this.happens('pageshow', { persisted: true })
    })
  }

  #setTimeout = (act, ms) => {
    const timer = { isTimer: true }
    this.timers.add(timer)
    this.world.at(ms ?? 0, () => this.#run(() => this.timers.delete(timer) && act()))
    return timer
  }

  #storage() {
    const { world } = this
    const write = (key, value) => (world.write(key, value, this), true)
    return new Proxy({}, {
      get: (_, key) => world.disk.get(key),
      set: (_, key, value) => write(key, String(value)),
      deleteProperty: (_, key) => write(key, undefined),
      ownKeys: () => [...world.disk.keys()],
      getOwnPropertyDescriptor: (_, key) => ({ value: world.disk.get(key), enumerable: true, configurable: true }),
    })
  }

  #fetch = (url, { body, keepalive, signal }) =>
    new Promise((resolve, reject) => {
      const { world } = this
      world.requests++
      if (!world.isOnline) return reject(new TypeError('Failed to fetch'))
      let isOver = false
      const end = (act) => this.#run(() => !isOver && ((isOver = true), act()))
      signal.addEventListener('abort', () => end(() => reject(new Error('AbortError'))))
      const latency = world.latency()
      world.at(latency, () => {
        if (isOver || (!this.isAlive && !keepalive && world.chance() < 0.5)) return
        if (!world.isOnline) return end(() => reject(new TypeError('Failed to fetch')))
        const answer = world.collector.take(body, world.now)
        if (answer === null) return // nothing comes
        world.at(latency, () => {
          if (answer.isDown || !world.isOnline) return end(() => reject(new TypeError('Failed to fetch')))
          const headers = { get: (name) => answer.headers?.[name] ?? null }
          const text = answer.text ?? JSON.stringify(answer.json ?? {})
          end(() => resolve({ status: answer.status, headers, text: async () => text }))
        })
      })
    })
}
