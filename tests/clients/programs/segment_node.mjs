// Every call of Segment's SDK for Node.js.
import { HOST, KEY, failed, report } from './report.mjs'
// [set up]
import { Analytics } from '@segment/analytics-node'

const analytics = new Analytics({ host: HOST, writeKey: KEY })
// [end]
analytics.on('error', failed)

const person = { userId: 'u-8812', anonymousId: 'device-1' }
analytics.identify({ ...person, traits: { email: 'a@example.com', plan: 'pro' } })
analytics.track({ ...person, event: 'Product Viewed', properties: { product_id: '864115', price: 45 } })
analytics.track({
  ...person,
  event: 'Order Completed',
  properties: { order_id: 'o-1', total: 27.5, products: [{ product_id: '864115', price: 19 }, { sku: '45790-32', price: 8.5 }] }
})
analytics.page({ ...person, category: 'Docs', name: 'Home', properties: { url: 'https://shop.example.com/' } })
analytics.screen({ ...person, name: 'Home' })
analytics.group({ ...person, groupId: 'g-1', traits: { name: 'Acme' } })
analytics.alias({ userId: 'u-8812', previousId: 'device-1' })
await analytics.closeAndFlush()
report()
