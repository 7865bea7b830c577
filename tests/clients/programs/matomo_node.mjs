// Views, events, goals, orders and searches by Matomo's SDK for Node.js, one at a time and in bulk.
import { subscribe } from 'node:diagnostics_channel'
import { HOST, KEY, failed, report } from './report.mjs'
// [set up]
import MatomoTracker from 'matomo-tracker'

const matomo = new MatomoTracker(KEY, `${HOST}/matomo.php`)
// [end]
matomo.on('error', error => {
  failed(error)
  report()
})

// The SDK has no callback for a single event, and reads no answer to its end, so that its connections stay open.
let unanswered = 6
subscribe('http.client.response.finish', () => {
  unanswered -= 1
})

const person = { uid: 'u-8812', _id: '0123456789abcdef', url: 'https://shop.example.com/p/864115' }
matomo.track(person.url)
matomo.track({ ...person, action_name: 'Television', urlref: 'https://example.com/', res: '1920x1080', dimension1: 'pro' })
matomo.track({ ...person, e_c: 'product', e_a: 'view', e_n: 'Television', e_v: 45 })
matomo.track({ ...person, idgoal: 3 })
matomo.track({ ...person, search: 'television', search_count: 12 })
const items = JSON.stringify([['864115', 'Television', 'tv', 19, 1], ['45790-32', 'Cable', 'tv', 8.5, 1]])
const bulk = await new Promise(done => matomo.trackBulk(
  [
    { ...person, e_c: 'product', e_a: 'like' },
    { ...person, idgoal: 0, ec_id: 'o-1', revenue: 27.5, ec_items: items },
    { ...person, idgoal: 0, revenue: 27.5, ec_items: items },
    { ...person, link: 'https://example.com/out' },
    { ...person, download: 'https://shop.example.com/list.pdf' }
  ],
  done
))
const { status, tracked, invalid } = JSON.parse(bulk)
if (status !== 'success' || tracked !== 5 || invalid !== 0) failed(`bulk was answered ${bulk}`)
setInterval(() => unanswered || report(), 10)
