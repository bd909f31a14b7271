import { createHmac, timingSafeEqual } from 'node:crypto'
import Fastify from 'fastify'

/** The bare parts of a signed heartbeat: Fastify and one HMAC over the body. Prints its port. */
const key = Buffer.alloc(32, 7)
const app = Fastify({ logger: false })
app.removeAllContentTypeParsers()
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
  done(null, body),
)
app.post('/api/agent/poll', (request, reply) => {
  const body = request.body as Buffer
  const given = Buffer.from(String(request.headers['x-mac']), 'base64')
  const mac = createHmac('sha256', key).update(body).digest()
  if (given.length !== mac.length || !timingSafeEqual(given, mac)) return reply.code(401).send()
  JSON.parse(body.toString('utf8'))
  return reply.type('application/json').send('{"boot":"b","frames":[]}')
})
await app.listen({ host: '127.0.0.1', port: 0 })
const address = app.server.address()
process.send?.({ type: 'ready', port: typeof address === 'object' ? address?.port : 0 })
process.on('disconnect', () => process.exit(0))
