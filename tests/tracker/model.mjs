// Random scenes in virtual time: whatever tabs, network, clock and collector do, no event is missing and none counts twice.
// Usage: node model.mjs CASES [SEED]. Prints a line of JSON; exits with 1 at the first scene that fails, and names its seed.
import { DAY, random, World } from './world.mjs'

const ANSWERS = [
  { status: 503, headers: { 'retry-after': '2' } },
  { status: 503 },
  { status: 503, takes: true, headers: { 'x-event-ack': 'fsync' } },
  { status: 429, headers: { 'retry-after': '30' } },
  { status: 500 }, { status: 502 }, { status: 408 },
  { status: 403 }, { status: 404 },
  { status: 413 }, { status: 400 },
  { status: 200, takes: true, isLost: true },
  { status: 0 }, // hangs
  { status: 1, isDown: true },
  { status: 200, isForeign: true, text: '<html>log in to the Wi-Fi</html>' },
]

class Scene {
  ids = new Map() // by id: whether it was on the disk when track() returned
  drops = []
  errors = []

  constructor(seed) {
    this.chance = random(seed)
    this.world = new World(this.chance)
    this.world.hasLocks = this.chance() < 0.8
    this.isLong = this.chance() < 0.5 // days go by; else the clock jumps: a client can't tell the two apart
    for (let tab = 0; tab <= this.chance() * 3; tab++) this.open()
  }

  open() {
    this.world.open({ consent: 'granted' }).drops = this.drops
  }

  get tab() {
    return this.world.tabs[Math.floor(this.chance() * this.world.tabs.length)]
  }

  track() {
    const { tab, world } = this
    if (!tab || tab.isFrozen) return
    for (let n = 0; n < this.chance() * 12; n++) {
      const id = tab.call('track', { ea: this.chance() < 0.02 ? 'bad' : 'view', ec: 'x', text: 'y'.repeat(this.chance() * 900) })
      if (id) this.ids.set(id, [...world.disk.values()].some((value) => value.includes(id)))
    }
  }

  async step() {
    const { chance, world, tab } = this
    const at = chance()
    if (at < 0.4) this.track()
    else if (at < 0.65) await world.pass(chance() * (chance() < 0.2 ? 60e3 : 3e3))
    else if (at < 0.72) tab?.leave(), this.open()
    else if (at < 0.74) tab?.kill(), this.open()
    else if (at < 0.76) !tab?.isFrozen && tab?.[chance() < 0.5 ? 'hide' : 'show']() // browsers tell before they freeze
    else if (at < 0.78) !tab?.isFrozen && tab?.visitElsewhere(chance() * 40e3)
    else if (at < 0.8) tab && ((tab.isFrozen = true), world.at(chance() * 90e3, () => tab.thaw()))
    else if (at < 0.86) this.setAnswers()
    else if (at < 0.9) world.collector.answer = () => ({ status: 200 })
    else if (at < 0.93) this.setOnline(chance() < 0.5)
    else if (at < 0.95) world.skew = this.isLong ? 0 : [0, DAY, -DAY, 2 * DAY][Math.floor(chance() * 4)]
    else if (at < 0.97) world.isFull = chance() < 0.4
    else if (at < 0.975) await this.deny()
    else if (at < 0.984) this.isLong && (await world.pass((0.2 + 1.3 * chance()) * DAY))
    else if (world.tabs.length < 5) this.open()
  }

  // Nothing may be kept on the device, and nothing more may go out, until the visitor agrees again.
  async deny() {
    const { tabs } = this.world
    const tab = tabs.find((each) => !each.isFrozen)
    // other tabs can't be told of it on a full disk, nor of a grant that was made on one
    if (!tab || !this.world.disk.has('tl1:shop:c')) return
    this.world.isFull = false
    tab.call('consent', 'denied')
    await this.world.pass(50)
    // a tab that is frozen before it hears of it may leave its lease, which names nobody
    const isFrozen = tabs.some((each) => each.isFrozen)
    const kept = [...this.world.disk.keys()].filter((key) => !(isFrozen && key.endsWith(':l')))
    if (kept.length) this.errors.push(`kept after a denial: ${kept}`)
    const { requests } = this.world
    for (const each of tabs) if (!each.isFrozen && each.call('track', 'view', 'x')) this.errors.push('tracked after a denial')
    await this.world.pass(this.chance() * 30e3)
    if (this.world.requests > requests) this.errors.push('sent after a denial')
    this.world.tabs.forEach((each) => each.isFrozen || each.call('consent', 'granted'))
  }

  setAnswers() {
    const some = [0, 1, 2].map(() => ANSWERS[Math.floor(this.chance() * ANSWERS.length)])
    const share = this.chance()
    this.world.collector.answer = () => (this.chance() < share ? some[Math.floor(this.chance() * 3)] : { status: 200 })
  }

  setOnline(isOnline) {
    if (isOnline === this.world.isOnline) return
    this.world.isOnline = isOnline
    this.world.tabs.forEach((tab) => tab.happens(isOnline ? 'online' : 'offline'))
  }

  // The faults end. The longest wait that the tracker may choose is an hour.
  async end() {
    const { world } = this
    world.collector.answer = () => ({ status: 200 })
    world.isFull = false
    world.isOnline = true
    world.tabs.forEach((tab) => tab.isFrozen && tab.thaw())
    world.tabs.forEach((tab) => tab.happens('online')) // ends the pause of a page that never had an answer
    this.open()
    for (let minute = 0; minute < 75 && this.queued(); minute++) await world.pass(60e3)
    world.tabs.forEach((tab) => this.errors.push(...tab.errors))
  }

  queued() {
    return Math.max(...this.world.tabs.map((tab) => tab.call('stats').queued))
  }

  // What is wrong with the outcome.
  faults() {
    const { collector } = this.world
    const dropped = new Map(this.drops)
    const missing = [...this.ids].filter(([id, isKept]) => isKept && !collector.stored.has(id) && !collector.refused.has(id) && !dropped.has(id))
    const twice = [...collector.stored].filter(([, { times }]) => times > 1)
    const faults = []
    if (missing.length) faults.push(`missing: ${missing.map(([id]) => id)}`)
    const whys = this.drops.map(([, why]) => why)
    const full = whys.filter((why) => why === 'full').length
    if (!whys.includes('expired') && collector.told > full) faults.push(`told ${collector.told} of ${full} lost`)
    if (twice.length) faults.push(`twice: ${twice.map(([id]) => id)}`)
    if (this.queued()) faults.push(`still queued: ${this.queued()}`)
    if (this.errors.length) faults.push(`errors: ${this.errors}`)
    return faults
  }
}

const [cases, first = '1'] = process.argv.slice(2)
const sums = { scenes: 0, events: 0, copies: 0, dropped: 0, told: 0 }
process.on('unhandledRejection', (error) => {
  console.log(JSON.stringify({ seed, faults: [`unhandled: ${error?.stack}`] }))
  process.exit(1)
})
let seed = +first
for (; seed < +first + +cases; seed++) {
  const scene = new Scene(seed)
  for (let step = 0; step < 120; step++) await scene.step()
  await scene.end()
  const faults = scene.faults()
  if (faults.length) {
    console.log(JSON.stringify({ seed, faults }))
    process.exit(1)
  }
  const { collector } = scene.world
  sums.scenes++
  sums.events += scene.ids.size
  sums.copies += collector.copies - collector.stored.size
  sums.dropped += scene.drops.length
  sums.told += collector.told
}
console.log(JSON.stringify(sums))
