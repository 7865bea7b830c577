// Every call of Segment's SDK for pages.
import { HOST, KEY, failed, report } from './page.mjs'
// [set up]
import { AnalyticsBrowser } from '@segment/analytics-next'

const { host, protocol } = new URL(HOST)
const analytics = AnalyticsBrowser.load(
  { writeKey: KEY, cdnURL: HOST },
  { integrations: { 'Segment.io': { apiHost: `${host}/v1`, protocol: protocol.replace(':', '') } } }
)
// [end]
analytics.catch(failed)

await analytics.identify('u-8812', { email: 'a@example.com', plan: 'pro' })
await analytics.track('Product Viewed', { product_id: '864115', price: 45 })
await analytics.track('Order Completed', {
  order_id: 'o-1',
  total: 27.5,
  products: [{ product_id: '864115', price: 19 }, { sku: '45790-32', price: 8.5 }]
})
await analytics.page('Docs', 'Home')
await analytics.screen('Home')
await analytics.group('g-1', { name: 'Acme' })
await analytics.alias('u-8812', 'device-1')
report()
