// The events of Snowplow's SDK for Node.js, by POST or, with a third argument `get`, by GET.
import { HOST, KEY, failed, report } from './report.mjs'

const METHOD = process.argv[4] ?? 'post'
const COUNT = 8
const MOST_FAILURES = 5
let sent = 0
let failures = 0
let end
const done = new Promise(resolve => { end = resolve })
function onRequestSuccess(batch) {
  sent += batch.length
  if (sent === COUNT) end()
}
// The tracker keeps what failed until its next event, or until it is flushed.
function onRequestFailure(failure) {
  failed(failure.message ?? `status ${failure.status}`)
  failures += 1
  if (failures === MOST_FAILURES) end()
  else setTimeout(() => tracker.flush(), 100)
}
// [set up]
import {
  newTracker, buildAddToCart, buildEcommerceTransaction, buildEcommerceTransactionItem, buildPagePing, buildPageView,
  buildScreenView, buildSelfDescribingEvent, buildStructEvent
} from '@snowplow/node-tracker'

const tracker = newTracker(
  { namespace: 'shop', appId: KEY },
  { endpoint: HOST, eventMethod: METHOD, bufferSize: 1, onRequestSuccess, onRequestFailure }
)
// [end]
tracker.setUserId('u-8812')
tracker.setDomainUserId('device-1')
tracker.setSessionId('5f2a9a50-8cf0-41bd-b23e-10b96e40000d')
const context = [{ schema: 'iglu:com.example/plan/jsonschema/1-0-0', data: { name: 'pro' } }]
const page = { pageUrl: 'https://shop.example.com/p/864115', pageTitle: 'Television', referrer: 'https://example.com/' }
tracker.track(buildPageView(page), context)
tracker.track(buildPagePing({ ...page, maxYOffset: 40 }))
tracker.track(buildStructEvent({ category: 'product', action: 'view', label: 'Television', property: '864115', value: 45 }))
tracker.track(buildSelfDescribingEvent({
  event: { schema: 'iglu:com.example/viewed_product/jsonschema/1-0-0', data: { sku: '45790-32' } }
}))
tracker.track(buildScreenView({ name: 'Home', id: 's-1' }))
tracker.track(buildAddToCart({ sku: '864115', name: 'Television', unitPrice: 19, quantity: 1 }))
tracker.track(buildEcommerceTransaction({ orderId: 'o-1', total: 19 }))
tracker.track(buildEcommerceTransactionItem({ orderId: 'o-1', sku: '864115', name: 'Television', price: 19, quantity: 1 }))
tracker.flush()
await done
report()
