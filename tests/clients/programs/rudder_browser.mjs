// Every call of RudderStack's SDK for pages, by requests of its own or, in mode `beacon`, by beacons.
import { HOST, KEY, MODE, report } from './page.mjs'
// [set up]
import { RudderAnalytics } from '@rudderstack/analytics-js/bundled'

const analytics = new RudderAnalytics()
analytics.load(KEY, HOST, { configUrl: HOST, useBeacon: MODE === 'beacon' })
// [end]
analytics.identify('u-8812', { email: 'a@example.com', plan: 'pro' })
analytics.track('Product Viewed', { product_id: '864115', price: 45 })
analytics.track('Order Completed', {
  order_id: 'o-1',
  total: 27.5,
  products: [{ product_id: '864115', price: 19 }, { sku: '45790-32', price: 8.5 }]
})
analytics.page('Docs', 'Home')
analytics.group('g-1', { name: 'Acme' })
analytics.alias('u-8812', 'device-1')
analytics.ready(report)
