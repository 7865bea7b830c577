/** Listen to an event of the page. */
export const on = (target: EventTarget, type: string, listener: (event: any) => void, isFirst?: boolean): void =>
  target.addEventListener(type, listener, isFirst)
