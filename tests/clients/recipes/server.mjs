// On a server nothing happens: the calls return null, and none throws.
import { consent, flush, identify, init, page, reset, stats, track } from 'tracklog'

const results = [
  init({ url: 'https://c.example.com/event', id: 'shop', pages: true, clicks: true, time: true }),
  consent('granted'),
  track('view', 'product'),
  page(),
]
identify('u-8812')
reset()
console.log(JSON.stringify({ results: results.map((each) => typeof each === 'string'), stored: await flush(), stats: stats() }))
