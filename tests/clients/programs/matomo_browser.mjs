// The calls of a tracker for Matomo that needs no file of a Matomo host, in a page.
import { HOST, KEY, failed, report } from './page.mjs'
// [set up]
import MatomoTracker from 'matomo-tracker-react-native/src/MatomoTracker.js'

const matomo = new MatomoTracker({ urlBase: HOST, siteId: KEY, userId: 'u-8812' })
// [end]
const url = 'https://shop.example.com/p/864115'
const calls = [
  matomo.trackAppStart(),
  matomo.trackScreenView({ name: 'Home', url }),
  matomo.trackAction({ name: 'Television', url }),
  matomo.trackEvent({ category: 'product', action: 'view', name: 'Television', value: 45, url }),
  matomo.trackContent({ name: 'banner', piece: 'a', target: 'https://shop.example.com/', url }),
  matomo.trackSiteSearch({ keyword: 'television', category: 'tv', count: 12, url }),
  matomo.trackLink({ link: 'https://example.com/out', url }),
  matomo.trackDownload({ download: 'https://shop.example.com/list.pdf', url })
]
for (const answer of await Promise.all(calls)) {
  if (answer instanceof Error) failed(answer)
}
report()
