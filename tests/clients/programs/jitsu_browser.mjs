// Every call of Jitsu's SDK for pages.
import { HOST, KEY, report } from './page.mjs'
// [set up]
import { jitsuAnalytics } from '@jitsu/js'

const jitsu = jitsuAnalytics({ host: HOST, writeKey: KEY })
// [end]
await jitsu.identify('u-8812', { email: 'a@example.com', plan: 'pro' })
await jitsu.track('Product Viewed', { product_id: '864115', price: 45 })
await jitsu.track('Order Completed', {
  order_id: 'o-1',
  total: 27.5,
  products: [{ product_id: '864115', price: 19 }, { sku: '45790-32', price: 8.5 }]
})
await jitsu.page({ name: 'Home' })
await jitsu.group('g-1', { name: 'Acme' })
report()
