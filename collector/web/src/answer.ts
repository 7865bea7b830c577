/** What an answer of the collector means for the events of its request. Pure. Status 0: no answer came. */

export interface Answer {
  type?: string
  an_session?: string
  rejected?: { index: number }[]
}

/** The events are stored. A 200 that is not ours comes from a captive portal; `ack` is the header `x-event-ack`. */
export const isStored = (status: number, answer?: Answer, ack?: string | null): unknown =>
  status == 200 ? /^(event|batch)$/.test(answer?.type!) : status == 503 && ack

/** The collector will never take them; it has them in its dead letters. */
export const isRefused = (status: number): boolean => /400|41[35]/.test(`${status}`)

/** How long to wait before the next request, in ms, after `failures` in a row. `retryAfter` is in seconds. */
export const waitOf = (status: number, failures: number, retryAfter?: string | null): number =>
  status == 429 || status == 503
    ? Math.max(1, +retryAfter! || 1) * 1e3 * (1 + Math.random() / 2)
    : // the settings of page or collector are wrong, and somebody must mend them
      /40[1345]|414|431/.test(`${status}`)
      ? 6e5
      : Math.min(2 ** failures * 1e3, 3e5) * (0.5 + Math.random())
