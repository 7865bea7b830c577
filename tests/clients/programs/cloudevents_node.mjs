// The CloudEvents SDK for Node.js, in both modes of HTTP.
import { HOST, KEY, failed, report } from './report.mjs'
// [set up]
import { CloudEvent, emitterFor, httpTransport, Mode } from 'cloudevents'

const transport = httpTransport(`${HOST}/event?id=${KEY}`)
const emit = emitterFor(transport, { mode: Mode.BINARY })

const event = new CloudEvent({
  id: 'ce-binary', source: '/shop', type: 'com.example.product.view', subject: 'u-8812', data: { product_id: '864115' }
})
const answer = await emit(event)
// [end]
const emitStructured = emitterFor(transport, { mode: Mode.STRUCTURED })
for (const { body } of [answer, await emitStructured(event.cloneWith({ id: 'ce-structured' }))]) {
  if ('code' in JSON.parse(body)) failed(body)
}
report()
