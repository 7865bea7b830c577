// Gives a program in a page its arguments, and leaves what its SDK reported in window.report.
const query = new URLSearchParams(location.search)
export const HOST = query.get('host')
export const KEY = query.get('key')
export const MODE = query.get('mode')

const errors = []

// Keep an error that the SDK reported.
export function failed(error) {
  errors.push(String(error?.message ?? error))
}

// Tell the test that all calls are made.
export function report() {
  window.report = { errors }
}
