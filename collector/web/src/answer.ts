/** What an answer of the collector means for the events of its request. Pure. Status 0: no answer came. */

export interface Answer {
  code?: string
  type?: string
  an_session?: string
  rejected?: { index: number }[]
}

/** Nothing of them has to be sent again. Of a captive portal, no answer has such a type; `ack` is the header `x-event-ack`. */
export const isSettled = (answer?: Answer, ack?: string | null): unknown => ack || /^(event|batch)$/.test(answer?.type!)

/** It is no use to send them again; the collector has what it refused in its dead letters. */
export const isRefused = (status: number, answer?: Answer): boolean => status == 413 || answer?.code == 'invalid_event'

/** How long to wait before the next request, in ms, after `failures` in a row. `retryAfter` is in seconds. */
export const waitOf = (status: number, failures: number, retryAfter?: string | null): number =>
  (+retryAfter!
    ? Math.max(1, +retryAfter!) * 1e3
    : // the settings of page or collector are wrong, and somebody must mend them
      /40[0-5]|414|431/.test(`${status}`)
      ? 6e5
      : Math.min(2 ** failures * 1e3, 3e5)) *
  (1 + Math.random() / 2)
