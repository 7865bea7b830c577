// Gives a program its arguments, and ends it with what its SDK reported.
export const [HOST, KEY] = process.argv.slice(2)

const errors = []

// Keep an error that the SDK reported.
export function failed(error) {
  errors.push(String(error?.message ?? error))
}

// Print the errors as JSON, and exit: 1 if there is one.
export function report() {
  console.log(JSON.stringify({ errors }))
  process.exit(errors.length ? 1 : 0)
}

process.on('unhandledRejection', failed)
