/** One sender at a time over all tabs: by Web Locks, or by a lease in the store where the page is not secure. */

import type { Store } from './store.js'

/** Who was refused so often in a row, 2 to 4 s apart, takes the lock: its tab is frozen, as a request takes 10 s at most. */
const MOST_REFUSALS = 10
const LEASE = 15e3

/** `act` gets the lock for as long as it takes. Returns its result, or in how many ms to ask again. */
export const openLock = (name: string, store: Store) => {
  const me = Math.random() as unknown as string
  let refusals = 0
  /** A refusal before is not counted: each event of a busy page asks for the lock. */
  let next = 0

  return (act: () => Promise<number>): Promise<number> => {
    let isOurs: unknown
    const begin = async (lock?: unknown): Promise<number> => {
      isOurs = lock
      if (lock) {
        refusals = 0
        return act()
      }
      if (performance.now() > next) {
        next = performance.now() + 2e3
        refusals++
      }
      return 2e3 + Math.random() * 2e3
    }
    /** A write of another tab may show only in a later task, so look again after a while. */
    const lease = async () => {
      const [expiry, owner] = (store._get('l') || '').split(' ')
      const left = +expiry! - Date.now()
      if (owner != me && left > 0 && left <= LEASE) return begin()
      store._set('l', `${Date.now() + LEASE} ${me}`)
      await new Promise((done) => setTimeout(done, 50 + Math.random() * 50))
      const wait = await begin(store._get('l')?.endsWith(me))
      if (isOurs) store._remove('l')
      return wait
    }
    if (!store._isShared()) return act()
    return new Promise<number>((done) =>
      done(navigator.locks.request(name, { [refusals < MOST_REFUSALS ? 'ifAvailable' : 'steal']: true }, begin)),
    ).catch(() => (isOurs ? LEASE : lease())) // it was stolen from us; else there are no locks here
  }
}
