// The events of Snowplow's SDK for pages, by POST or, in mode `get`, by GET.
import { HOST, KEY, MODE, failed, report } from './page.mjs'
// [set up]
import {
  enableActivityTracking, newTracker, setUserId, trackPageView, trackSelfDescribingEvent, trackStructEvent
} from '@snowplow/browser-tracker'

newTracker('shop', HOST, { appId: KEY, eventMethod: MODE ?? 'post', onRequestFailure: failed })
// [end]
setUserId('u-8812')
enableActivityTracking({ minimumVisitLength: 1, heartbeatDelay: 1 })
trackPageView({ context: [{ schema: 'iglu:com.example/plan/jsonschema/1-0-0', data: { name: 'pro' } }] })
trackStructEvent({ category: 'product', action: 'view', label: 'Television', property: '864115', value: 45 })
trackSelfDescribingEvent({
  event: { schema: 'iglu:com.example/viewed_product/jsonschema/1-0-0', data: { sku: '45790-32' } }
})
report()
