// Every call of PostHog's SDK for pages that sends an event.
import { HOST, KEY, report } from './page.mjs'
// [set up]
import posthog from 'posthog-js'

posthog.init(KEY, { api_host: HOST })
// [end]
posthog.identify('u-8812', { email: 'a@example.com' })
posthog.capture('product viewed', { product_id: '864115', price: 45 })
posthog.setPersonProperties({ plan: 'pro' })
posthog.group('company', 'g-1', { name: 'Acme' })
posthog.alias('device-1', 'u-8812')
posthog.captureException(new Error('an error of the shop'))
report()
