import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdentityStore } from '@fleetupdate/agent/src/identity.ts'
import { createKeyring, type Keyring } from '@fleetupdate/agent/src/keyring.ts'
import { startTestFleet, type TestFleet } from '@fleetupdate/core/src/agents/testing/test-fleet.ts'
import { signedPost, WireAgent } from '@fleetupdate/core/src/agents/testing/wire-agent.ts'
import type { ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

// The real server and its store, the real keyring and its files; only the loop that reconnects is the test's, so that either side can
// die between any two steps.

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
const monthMs = 31 * 24 * 3_600_000
let fleet: TestFleet
let dir: string
let line: WireAgent
let keyring: Keyring

beforeEach(async () => {
  fleet = await startTestFleet()
  dir = await mkdtemp(join(tmpdir(), 'fleet-rekey-'))
  const enrolled = (await fleet.agent('vm-01')).identity
  await createIdentityStore(dir).adopt({
    ...{ agentId: 'vm-01', secretId: 'psk', enrolmentId: 'e', kid: enrolled.kid },
    ...{ agentKey: 'A'.repeat(43), serverKey: 'A'.repeat(43), confirmation: 'A'.repeat(43) },
    rootKey: enrolled.root.toString('base64url'),
  })
  await bootAgent()
})
afterEach(async () => {
  line.terminate()
  await fleet.dispose()
  await rm(dir, { recursive: true, force: true })
})

/** The agent's process starts: all it knows is on its disk. */
async function bootAgent(): Promise<void> {
  const store = createIdentityStore(dir)
  const identity = await store.load()
  if (!identity) throw new Error('The agent lost its identity.')
  keyring = createKeyring(store, { identity, next: await store.next() }, silent)
}
/** Opens a session; with the other key where the server refused one. Answers the next frame of an exchange, if the server begins one. */
async function connect(): Promise<{ readonly rekey: Promise<ServerFrameOf<'rekey'>> }> {
  for (let tries = 0; tries < 2; tries++) {
    const { identity } = keyring
    line = new WireAgent(fleet.url, identity)
    const rekey = line.next('rekey')
    rekey.catch(() => undefined)
    try {
      await line.join()
      return { rekey }
    } catch {
      keyring.refused(identity)
    }
  }
  throw new Error('The agent cannot speak any more.')
}
const used = () => line.identity
const storedKids = async () => ({
  current: (await fleet.store.read.selectFrom('agent_keys').select('kid').executeTakeFirstOrThrow()).kid,
  next: (await fleet.store.read.selectFrom('agent_next_keys').select('kid').executeTakeFirst())?.kid,
})
/** As if the agent had enrolled a month ago. */
async function makeOld(): Promise<void> {
  const { read, write } = fleet.store
  const then = Date.now() - monthMs
  await write([
    read.updateTable('agent_keys').set({ createdAt: then }).compile(),
    read.updateTable('agents').set({ enrolledAt: then }).compile(),
  ])
}
const rotate = () => fleet.call('POST', '/api/agents/vm-01/keys/rotate', {})

/** Plays on until the exchange has ended, as an undisturbed agent does; at most three sessions. */
async function finish(): Promise<void> {
  for (let sessions = 0; sessions < 3; sessions++) {
    let waiting = (await connect()).rekey
    await keyring.opened(used())
    if ((await storedKids()).current !== 'k1') return
    for (let frames = 0; frames < 4; frames++) {
      const answer = await keyring.received(await waiting, used())
      if (answer === 'renew') break
      waiting = line.next('rekey')
      if (answer) line.send(answer)
    }
    line.terminate()
  }
}

/** Each runs the exchange up to one step, after which somebody dies. */
const steps: Readonly<Record<string, () => Promise<void>>> = {
  'the server asked, the agent did nothing': async () => {
    await (await connect()).rekey
  },
  'the agent stored its new key and did not answer': async () => {
    await keyring.received(await (await connect()).rekey, used())
  },
  'the server stored the new key, its answer was lost': async () => {
    const answer = await keyring.received(await (await connect()).rekey, used())
    const confirmed = line.next('rekey')
    if (answer && answer !== 'renew') line.send(answer)
    await confirmed
  },
  'the agent noted the confirmation and did not reconnect': async () => {
    const answer = await keyring.received(await (await connect()).rekey, used())
    const confirmed = line.next('rekey')
    if (answer && answer !== 'renew') line.send(answer)
    expect(await keyring.received(await confirmed, used())).toBe('renew')
  },
  'the new key was let in, the session did not begin': async () => {
    await steps['the agent noted the confirmation and did not reconnect']?.()
    line.terminate()
    await signedPost(keyring.identity, `${fleet.url}/api/agent/poll`, { boot: '', wait: 0, frames: [] })
  },
  'the session on the new key began, the agent noted nothing': async () => {
    await steps['the agent noted the confirmation and did not reconnect']?.()
    line.terminate()
    await connect()
  },
}

describe.each(Object.entries(steps))('%s', (_, step) => {
  test.each([
    ['the agent', false, true],
    ['the server', true, false],
    ['both', true, true],
  ])(
    'and then %s died: the agent speaks on and gets its new key, the old one is worth nothing',
    async (_who, server, agent) => {
      const old = keyring.identity
      await rotate()
      await step()
      line.terminate()
      if (server) fleet = await fleet.restart()
      if (agent) await bootAgent()
      await finish()
      const { current, next } = await storedKids()
      expect(current).toMatch(/^k[23]$/)
      expect(next).toBeUndefined()
      await bootAgent()
      expect(keyring.identity.kid).toBe(current)
      expect(keyring.identity.root).not.toEqual(old.root)
      const url = `${fleet.url}/api/agent/poll`
      expect((await signedPost(old, url, { boot: '', wait: 0, frames: [] })).body).toMatchObject({
        code: 'FLT_AUTH_SIGNATURE',
      })
      const spoken = await signedPost(keyring.identity, url, { boot: '', wait: 0, frames: [] })
      expect(spoken).toMatchObject({ isSigned: true, body: { code: 'FLT_AUTH_BOOT' } })
    },
  )
})

describe('a new key', () => {
  test('comes by itself when the old one is old enough, and not before', async () => {
    await connect()
    await line.settle()
    expect(line.frames.filter(({ type }) => type === 'rekey')).toEqual([])
    line.terminate()
    const { keyRotatedAt } = (await fleet.call('GET', '/api/agents/vm-01')).body
    await makeOld()
    await finish()
    expect((await storedKids()).current).toBe('k2')
    const after = (await fleet.call('GET', '/api/agents/vm-01')).body.keyRotatedAt
    expect(Date.parse(after)).toBeGreaterThan(Date.parse(keyRotatedAt))
  })

  test('is never forced on an agent that does not know the frame: it speaks on with its old one', async () => {
    await makeOld()
    const asked = await (await connect()).rekey
    expect(asked.kid).toBe('k2')
    await line.settle()
    line.terminate()
    await connect()
    await line.settle()
    expect(await storedKids()).toEqual({ current: 'k1', next: undefined })
  })

  test('that the agent does not have is begun anew: its disk was restored', async () => {
    await rotate()
    await cp(dir, `${dir}-before`, { recursive: true })
    await steps['the server stored the new key, its answer was lost']?.()
    line.terminate()
    await rm(dir, { recursive: true })
    await cp(`${dir}-before`, dir, { recursive: true })
    await rm(`${dir}-before`, { recursive: true })
    await bootAgent()
    await finish()
    expect(await storedKids()).toEqual({ current: 'k3', next: undefined })
  })

  test('is in the old place of a server that was restored from a backup: the agent falls back, and gets another', async () => {
    const { store } = fleet
    const before = await store.read.selectFrom('agent_keys').selectAll().execute()
    await rotate()
    await steps['the agent noted the confirmation and did not reconnect']?.()
    line.terminate()
    await store.write([
      store.read.deleteFrom('agent_next_keys').compile(),
      store.read.deleteFrom('agent_keys').compile(),
      store.read.insertInto('agent_keys').values(before).compile(),
    ])
    fleet = await fleet.restart()
    await finish()
    expect((await storedKids()).current).toBe('k2')
  })

  test('is not taken from whoever does not have the old one', async () => {
    await rotate()
    const asked = await (await connect()).rekey
    line.send({ type: 'rekey', kid: asked.kid, key: asked.key ?? '', confirmation: 'A'.repeat(43) })
    await line.settle()
    expect(await storedKids()).toEqual({ current: 'k1', next: undefined })
  })
})
