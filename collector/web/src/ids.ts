/** Ids of events and devices: UUID version 7, so that the order of ids is the order of time. */

let last = 0

/** A new id. Within a page, each is greater than the one before, whatever the clock does. */
export const newId = (): string => {
  last = Math.max(Date.now(), last + 1)
  let random = ''
  crypto.getRandomValues(new Uint8Array(9)).forEach((byte) => (random += (byte | 256).toString(16).slice(1)))
  return `0${last.toString(16)}7${random}`.replace(/(.{8})(.{4})(.{4})(...)(...)/, '$1-$2-$3-8$4-$5')
}

/** When the id was made that stands behind the first character of `key`, in Unix ms. */
export const timeOf = (key: string): number => parseInt(key.slice(1, 14).replace('-', ''), 16)
