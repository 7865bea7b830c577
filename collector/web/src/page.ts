/** What a page tells by itself: where it is, its views, clicks, and how long it was visible. */

import { on } from './on.js'

type Track = (ea: string, ec: string, more?: object) => unknown

/** A shorter time is not worth an event, in ms. */
const LEAST_TIME = 500

let referrer = ''

const cut = (text: string) => text.slice(0, 2000)

const here = () => location.href.split('#')[0]!

/** The context of every event: the page, and the campaign that led to it. */
export const pageContext = (): Record<string, string> => {
  const context: Record<string, string> = {
    url: cut(location.href),
    title: cut(document.title),
    referrer: cut(referrer || document.referrer),
  }
  new URLSearchParams(location.search).forEach((value, key) => {
    if (/^utm_|clk?id$|braid$/.test(key)) context[key] = cut(value)
  })
  return context
}

/** Call `look` when the URL may have changed: at once, and in a later task, when routers are done with it. */
export const watchPages = (track: Track): void => {
  let seen = ''
  const look = () => {
    const now = here()
    if (now == seen) return
    referrer = seen
    seen = now
    track('view', 'page')
  }
  const later = () => setTimeout(look)
  for (const name of ['pushState', 'replaceState'] as const) {
    const original = history[name]
    history[name] = (...state) => {
      original.apply(history, state)
      later()
    }
  }
  on(window, 'popstate', later)
  on(window, 'pageshow', (event) => {
    if (event.persisted) {
      seen = ''
      look()
    }
  })
  look()
}

export const watchClicks = (track: Track): void => {
  const look = ({ target, button }: { target: Element; button: number }) => {
    const nearest = (selector: string): any => target.closest?.(selector)
    const { ea, ec = 'click', ...extra } = { ...nearest('[data-ea]')?.dataset }
    const link = nearest('a[href]') || {}
    const url: string = link.href
    const isFile = nearest('a[download]') || /\.(pdf|zip|docx|xlsx|csv|mp[34])$/i.test(link.pathname)
    if (button > 1) return
    if (ea) track(ea, ec, { extra: { url, ...extra } })
    else if (/^http/.test(url) && (isFile || link.host != location.host))
      track('click', isFile ? 'download' : 'outbound', { extra: { url } })
  }
  on(document, 'click', look, true)
  on(document, 'auxclick', look, true)
}

/** Tells the time since it was told last, so that a reader adds up. */
export const watchTime = (track: Track): void => {
  let since = 0
  const look = () => {
    const now = performance.now()
    if (since && now - since > LEAST_TIME) track('time', 'page', { extra: { visible_ms: Math.round(now - since) } })
    since = document.hidden ? 0 : now
  }
  on(document, 'visibilitychange', look)
  on(window, 'pagehide', look, true)
  look()
}
