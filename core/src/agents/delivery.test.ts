import { createHash, randomBytes } from 'node:crypto'
import { deriveKey, limits, verifyResponse, type WantedExecutor } from '@fleetupdate/sdk/protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startTestFleet, type TestFleet } from './testing/test-fleet.ts'
import { signedHeaders, type WireIdentity } from './testing/wire-agent.ts'

const bundle = randomBytes(limits.bundlePartBytes + 1000)
const sha256 = createHash('sha256').update(bundle).digest('hex')
const acme: WantedExecutor = { id: 'acme-disk', version: '1.0.0', sha256, bytes: bundle.length }
let wanted: WantedExecutor[]
/** Resolves a read that hangs. */
let release: (() => void) | undefined
let hang: boolean
let rig: TestFleet

beforeEach(async () => {
  wanted = [acme]
  hang = false
  rig = await startTestFleet({
    bundles: {
      wanted: () => wanted,
      async read(asked, from, length) {
        if (hang) await new Promise<void>((resolve) => (release = resolve))
        return wanted.some((one) => one.sha256 === asked) ? bundle.subarray(from, from + length) : undefined
      },
    },
  })
})
afterEach(async () => {
  release?.()
  await rig.dispose()
})

async function part(identity: WireIdentity, from: number, hash = sha256) {
  const url = `${rig.url}/api/agent/bundles/${hash}?from=${from}`
  const headers = signedHeaders(identity, { method: 'GET', url })
  const response = await fetch(url, { headers })
  const body = Buffer.from(await response.arrayBuffer())
  const { agentId, kid, root } = identity
  const parts = { status: response.status, body, requestSignature: headers.signature ?? '' }
  const problem = verifyResponse(
    parts,
    Object.fromEntries(response.headers),
    deriveKey(root, 'http/s2a', agentId, kid),
  )
  return {
    status: response.status,
    body,
    isSigned: problem === undefined,
    retry: response.headers.get('retry-after'),
  }
}

test('an agent is told in welcome what is delivered, and within a second when that changes', async () => {
  const agent = await rig.agent('vm-01')
  expect((await agent.connect()).wanted).toEqual({ items: [acme], spreadSeconds: 0 })
  await agent.settle()
  const told = agent.next('executors')
  wanted = []
  rig.bus.emit('plugin.changed', { id: 'acme-disk', state: 'disabled' })
  expect((await told).wanted.items).toEqual([])
  // What is not delivered changes nothing for agents.
  rig.bus.emit('plugin.changed', { id: 'os-updates', state: 'active' })
  await agent.settle()
  expect(agent.frames.filter(({ type }) => type === 'executors')).toHaveLength(1)
})

test('a bundle comes in signed parts from any byte on, to enrolled agents alone', async () => {
  const { identity } = await rig.agent('vm-01')
  const first = await part(identity, 0)
  const second = await part(identity, first.body.length)
  expect([first, second]).toMatchObject([
    { status: 200, isSigned: true },
    { status: 200, isSigned: true },
  ])
  expect(Buffer.concat([first.body, second.body]).equals(bundle)).toBe(true)
  expect((await fetch(`${rig.url}/api/agent/bundles/${sha256}?from=0`)).status).toBe(401)
  const stranger = { ...identity, root: randomBytes(32) }
  expect((await part(stranger, 0)).status).toBe(401)
})

test('what is not delivered any more is not handed out', async () => {
  const { identity } = await rig.agent('vm-01')
  wanted = []
  const gone = await part(identity, 0)
  expect(gone).toMatchObject({ status: 404, isSigned: true })
  expect(JSON.parse(gone.body.toString())).toMatchObject({ code: 'FLT_DELIVERY_GONE' })
  expect(await part(identity, 0, 'x'.repeat(64))).toMatchObject({ status: 404 })
})

test('beyond 32 parts at once an agent is asked to come again', async () => {
  const { identity } = await rig.agent('vm-01')
  hang = true
  const open = new AbortController()
  const url = `${rig.url}/api/agent/bundles/${sha256}?from=0`
  const held = Array.from({ length: 32 }, () =>
    fetch(url, { headers: signedHeaders(identity, { method: 'GET', url }), signal: open.signal }).catch(
      () => undefined,
    ),
  )
  let busy = await part(identity, 0).catch(() => undefined)
  expect(busy).toMatchObject({ status: 503, isSigned: true, retry: '5' })
  open.abort()
  await Promise.all(held)
  hang = false
  do busy = await part(identity, 0)
  while (busy.status === 503)
  expect(busy.status).toBe(200)
})

test('what an agent says later about its executors replaces what its hello said', async () => {
  const agent = await rig.agent('vm-01')
  const known = { id: 'acme-disk', version: '1.0.0', contractHash: 'abc', health: 'ok' as const }
  await agent.join({ executors: [{ ...known, trust: 'built-in' }] })
  agent.send({ type: 'executors', executors: [{ ...known, trust: 'signed', publisher: 'acme' }] })
  await agent.settle()
  const { body } = await rig.call('GET', '/api/agents/vm-01')
  expect(body.executors).toEqual([{ ...known, trust: 'signed', publisher: 'acme' }])
  expect(rig.fleet.executorCounts()).toEqual({ 'acme-disk': { '1.0.0/abc': 1 } })
})
