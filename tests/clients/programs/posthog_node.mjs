// Every call of PostHog's SDK for Node.js that sends an event.
import { HOST, KEY, failed, report } from './report.mjs'
// [set up]
import { PostHog } from 'posthog-node'

const posthog = new PostHog(KEY, { host: HOST })
// [end]
posthog.on('error', failed)

const distinctId = 'u-8812'
posthog.capture({ distinctId, event: 'product viewed', properties: { product_id: '864115', price: 45 } })
posthog.capture({ distinctId, event: '$pageview', properties: { $current_url: 'https://shop.example.com/' } })
posthog.capture({ distinctId, event: '$screen', properties: { $screen_name: 'Home' } })
posthog.identify({ distinctId, properties: { email: 'a@example.com' } })
posthog.alias({ distinctId, alias: 'device-1' })
posthog.groupIdentify({ groupType: 'company', groupKey: 'g-1', properties: { name: 'Acme' } })
posthog.captureException(new Error('an error of the shop'), distinctId)
await posthog.shutdown()
report()
