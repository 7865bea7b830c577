/** The script for pages: the global `tracklog`, the calls that its stub queued, and the options of the script tag. */

import { consent, flush, identify, init, page, replay, reset, stats, track } from './api.js'
import type { Options } from './types.js'

const global = window as any
const stub = global.tracklog
const calls: Record<string, (...given: any[]) => unknown> = { consent, flush, identify, init, page, reset, stats, track }

// a script that is loaded twice must not start twice; the stub names no parameter
if (!stub?.length) {
  const call = (global.tracklog = (name: string, ...given: unknown[]) => calls[name]?.(...given))
  global.web_event = { track: (ec: string, ea: string, more?: object) => track(ea, ec, more) }
  const given = (document.currentScript as HTMLScriptElement | null)?.dataset
  if (given?.url) init(given as unknown as Options)
  replay(stub?.q, call)
}
