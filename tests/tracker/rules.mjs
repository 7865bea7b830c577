// Single rules of the built tracker in virtual time. `node --expose-gc rules.mjs [NAME]` prints each with its fault, or null.
import assert from 'node:assert/strict'
import * as module from '../../collector/web/dist/tracklog.mjs'
import { World, random } from './world.mjs'

const MOST_EVENTS = 400
const MOST_LENGTH = 262144
const STAMP = 13 // characters before each event's JSON

const open = (options) => {
  const world = new World(random(1))
  const tab = world.open({ consent: 'granted', ...options })
  return [world, tab]
}
const track = (tab, number, more) => Array.from({ length: number }, () => tab.call('track', 'view', 'x', more)).filter(Boolean).length
const queued = (world) => [...world.disk].filter(([key]) => key.startsWith('tl1:shop:e'))

const bounded = async (prepare) => {
  const world = new World(random(1))
  prepare(world)
  for (let page = 0; page < 12; page++) {
    const tab = world.open({ consent: 'granted' })
    track(tab, 100, { text: 'y'.repeat(500) })
    await world.pass(15e3)
    tab.leave()
    await world.pass(1000)
  }
  const events = queued(world)
  const length = events.reduce((sum, [, value]) => sum + value.length - STAMP, 0)
  assert(events.length > 300, `${events.length} events`)
  assert(events.length <= MOST_EVENTS && length <= MOST_LENGTH, `${events.length} events, ${length} characters`)
}

// The events that pages send from now on.
const listen = (world) => {
  const events = []
  const take = world.collector.take.bind(world.collector)
  world.collector.take = (body, now) => (events.push(...[JSON.parse(body)].flat()), take(body, now))
  return events
}

const online = async (world, tab) => {
  world.isOnline = true
  tab.happens('online')
  await world.pass(60e3)
}

// What a click tells, where `nearest` has the element that each selector finds.
const clicked = async (nearest) => {
  const [world, tab] = open({ clicks: 'true' })
  const events = listen(world)
  tab.happens('click', { target: { closest: (selector) => nearest[selector] ?? null }, button: 0 })
  await world.pass(5e3)
  return events
}

const rules = {
  'the queue is bounded over all pages while the device is offline': () => bounded((world) => (world.isOnline = false)),
  'the queue is bounded over all pages while the collector is not there': () =>
    bounded((world) => (world.collector.answer = () => ({ status: 404 }))),
  'the queue is bounded over all pages while the collector asks to wait': () =>
    bounded((world) => (world.collector.answer = () => ({ status: 503, headers: { 'retry-after': '600' } }))),

  'the queue is bounded over two tabs': async () => {
    const [world, one] = open()
    world.collector.answer = () => ({ status: 404 })
    track(one, MOST_EVENTS)
    await world.pass(1000)
    track(world.open({ consent: 'granted' }), 450)
    assert.equal(queued(world).length, MOST_EVENTS)
  },

  'a queue that the page itself has cleared takes events': async () => {
    const [world, tab] = open()
    world.isOnline = false
    track(tab, 420)
    world.disk.clear()
    assert.equal(track(tab, 1), 1)
  },

  'what was sent takes no room': async () => {
    const [world, tab] = open()
    track(tab, 300)
    tab.hide()
    await world.pass(20e3)
    tab.show()
    await world.pass(60e3)
    assert.equal(queued(world).length, 0)
    world.isOnline = false
    assert.equal(track(tab, MOST_EVENTS), MOST_EVENTS)
  },

  'a busy tab takes no lock from one that waits for its answer': async () => {
    const [world, one] = open()
    const other = world.open({ consent: 'granted' })
    let steals = 0
    const request = world.requestLock.bind(world)
    world.requestLock = (tab, name, given, act) => ((steals += +!!given.steal), request(tab, name, given, act))
    await world.pass(20e3)
    world.latency = () => 4000
    track(one, 1)
    await world.pass(150)
    for (let at = 0; at < 60; at++) {
      track(other, 1)
      await world.pass(150)
    }
    assert.equal(steals, 0)
  },

  'a page that clears the store before it is loaded keeps the consent': async () => {
    const [world, tab] = open()
    world.disk.clear()
    tab.happens('pageshow', { persisted: false })
    assert.equal(tab.call('consent'), 'granted')
  },

  'an element may name its own url': async () => {
    const [event] = await clicked({ '[data-ea]': { dataset: { ea: 'open', url: '/sizes' } } })
    assert.equal(event.extra.url, '/sizes')
  },

  'a link inside an element that is marked tells the event of the element': async () => {
    const card = { dataset: { ea: 'open', ec: 'card', sku: 'A1' } }
    const link = { dataset: {}, href: 'https://shop.example.com/a1', host: 'shop.example.com', pathname: '/a1' }
    const [event] = await clicked({ '[data-ea]': card, 'a[href]': link })
    assert.deepEqual([event.ea, event.ec, event.extra], ['open', 'card', { url: link.href, sku: 'A1' }])
  },

  'an event that waits for a choice has the user of its time': async () => {
    const [world, tab] = open({ consent: 'pending', uid: 'anna' })
    const sent = listen(world)
    track(tab, 1)
    tab.call('reset')
    tab.call('identify', 'bob')
    track(tab, 1)
    tab.call('consent', 'granted')
    await world.pass(5e3)
    assert.deepEqual(sent.map((event) => event.uid), ['anna', 'bob'])
  },

  'losses are told after a change to anonymous': async () => {
    const [world, tab] = open()
    world.isOnline = false
    assert.equal(track(tab, MOST_EVENTS + 5), MOST_EVENTS)
    tab.call('consent', 'anonymous')
    assert.equal(tab.call('stats').lost, 5)
    await online(world, tab)
    track(tab, 1)
    await world.pass(60e3)
    assert.equal(world.collector.told, 5)
  },

  'losses before a choice are added to those of an earlier page': async () => {
    const [world, one] = open()
    world.isOnline = false
    track(one, MOST_EVENTS + 5)
    await online(world, one)
    one.kill()
    const tab = world.open({ consent: 'pending' })
    assert.equal(track(tab, 53), 50)
    tab.call('consent', 'granted')
    await world.pass(60e3)
    assert.equal(world.collector.told, 5 + 3)
  },

  'losses stay while a page goes back to no choice': async () => {
    const [world, tab] = open()
    world.isOnline = false
    track(tab, MOST_EVENTS + 5)
    tab.call('consent', 'pending')
    assert.equal(track(tab, 53), 50)
    tab.call('consent', 'pending')
    assert.equal(tab.call('stats').lost, 3)
    tab.call('consent', 'anonymous')
    assert.equal(tab.call('stats').lost, 5 + 3 + 50) // no held event has room
  },

  'losses of an earlier page are told by one without storage': async () => {
    const [world, one] = open()
    world.isOnline = false
    track(one, MOST_EVENTS + 5)
    one.kill()
    const { queued, lost } = world.open({ consent: 'anonymous' }).call('stats')
    assert.deepEqual([queued, lost], [MOST_EVENTS, 5])
  },

  'losses are not told by an order that is there already': async () => {
    const [world, tab] = open()
    const order = () => tab.call('track', 'purchase', 'order', { event_id: 'order-1' })
    order()
    await world.pass(10e3)
    world.isOnline = false
    track(tab, MOST_EVENTS + 5)
    await online(world, tab)
    order()
    await world.pass(10e3)
    track(tab, 1)
    await world.pass(60e3)
    assert.equal(world.collector.told, 5)
  },

  'an event of nobody stays so': async () => {
    const [world, tab] = open({ consent: 'pending', uid: 'anna' })
    const sent = listen(world)
    tab.call('reset')
    track(tab, 1)
    tab.call('identify', 'bob')
    tab.call('consent', 'granted')
    await world.pass(5e3)
    assert.deepEqual(sent.map((event) => event.uid), [undefined])
  },

  'a denial on the way back ends a request from before': async () => {
    const [world, tab] = open()
    world.latency = () => 4000
    track(tab, 1)
    await world.pass(200)
    tab.visitElsewhere(1000)
    await world.pass(1100)
    tab.call('consent', 'denied')
    await world.pass(60e3)
    assert.equal(world.collector.stored.size, 0)
  },

  'a page that waits for the lock sends nothing once there is no choice': async () => {
    const [world, tab] = open({ consent: 'anonymous' })
    const request = world.requestLock.bind(world)
    world.requestLock = (...given) => new Promise((done) => world.at(5, () => done(request(...given)))) // as in browsers
    world.isOnline = false
    track(tab, 1)
    tab.call('consent', 'granted')
    world.isOnline = true
    tab.happens('online')
    await world.pass(2)
    tab.call('consent', 'pending')
    await world.pass(20e3)
    assert.equal(world.requests, 0)
  },

  'a denial reaches the other tabs of a page that has cleared the storage': async () => {
    const [world, one] = open()
    const other = world.open({ consent: 'granted' })
    world.disk.clear()
    other.call('consent', 'denied')
    await world.pass(100)
    assert.equal(one.call('consent'), 'denied')
    assert.deepEqual([...world.disk], [])
  },

  'a tab that asks for the choice before it hears of a denial does not take it back': async () => {
    const [world, one] = open()
    const other = world.open({ consent: 'granted' })
    one.isFrozen = true
    other.call('consent', 'denied')
    await world.pass(100)
    assert.equal(one.call('consent'), 'granted')
    await world.pass(100)
    assert.deepEqual([other.call('consent'), ...world.disk], ['denied'])
  },

  'the queue is bounded where a page is left while it has no choice': async () => {
    const [world, one] = open()
    world.isOnline = false
    track(one, MOST_EVENTS)
    one.kill()
    const tab = world.open({ consent: 'pending' })
    tab.hide()
    tab.show()
    tab.call('consent', 'granted')
    track(tab, MOST_EVENTS)
    assert.equal(queued(world).length, MOST_EVENTS)
  },

  'the losses that a refused event told are counted once': async () => {
    const [world, tab] = open()
    world.isOnline = false
    track(tab, MOST_EVENTS + 5)
    await online(world, tab)
    world.latency = () => 1000
    tab.call('track', 'bad', 'x')
    await world.pass(500)
    tab.call('consent', 'pending')
    await world.pass(15e3)
    tab.call('consent', 'granted')
    await world.pass(15e3)
    track(tab, 1)
    await world.pass(15e3)
    assert.equal(world.collector.told, 5)
  },

  'each event of a denied time is told': async () => {
    const [, tab] = open({ consent: 'denied' })
    assert.equal(tab.call('track', 'view', 'x', { event_id: 'e-1' }), null)
    assert.deepEqual(tab.drops, [['e-1', 'denied']])
  },

  'a denial within a grant leaves nothing': async () => {
    const world = new World(random(1))
    const tab = world.open({ consent: 'pending', onDrop: () => tab.call('consent', 'denied') })
    tab.call('track', 'view', 'x', { text: 'y'.repeat(20000) })
    track(tab, 2)
    tab.call('consent', 'granted')
    assert.equal(tab.call('stats').queued, 0)
  },

  'losses of a page that is prerendered are not on the device': async () => {
    const world = new World(random(1))
    world.isPrerendering = true
    const tab = world.open()
    assert.equal(track(tab, 53), 50)
    assert.deepEqual([...world.disk], [])
  },

  'a storage that breaks later makes no call throw': async () => {
    const [world, tab] = open()
    world.disk.keys = () => {
      throw new Error('corrupt')
    }
    assert.deepEqual([tab.call('stats').queued, tab.call('track', 'view', 'x')], [0, null])
  },

  'calls on a server keep nothing': async () => {
    module.init({ url: 'https://collector.example.com/event', id: 'shop' })
    gc()
    const before = process.memoryUsage().heapUsed
    for (let render = 0; render < 1e5; render++) {
      module.identify(`user-${render}`)
      module.consent('granted')
    }
    gc()
    assert(process.memoryUsage().heapUsed - before < 5e6)
  },
}

const [only] = process.argv.slice(2)
for (const [name, rule] of Object.entries(rules)) {
  if (only && name !== only) continue
  let fault = null
  try {
    await rule()
  } catch (error) {
    fault = error.stack
  }
  console.log(JSON.stringify([name, fault]))
}
