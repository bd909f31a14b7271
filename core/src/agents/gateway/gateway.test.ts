import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sealFrame } from '@fleetupdate/sdk/protocol'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { startTestFleet, type TestFleet } from '../testing/test-fleet.ts'
import { signedHeaders, signedPost, WireAgent } from '../testing/wire-agent.ts'

let fleet: TestFleet
beforeEach(async () => {
  fleet = await startTestFleet()
})
afterEach(() => fleet.dispose())

const hello = {
  type: 'hello',
  protocol: 1,
  agentVersion: '1',
  bootId: 'b',
  executors: [],
  attempts: [],
}

describe('the WebSocket gateway', () => {
  test('shows an agent online while it is connected, and offline when it is gone', async () => {
    const agent = await fleet.agent('web-1')
    await agent.join({ agentVersion: '1.2.3' })
    expect((await fleet.call('GET', '/api/agents/web-1')).body).toMatchObject({
      status: 'online',
      agentVersion: '1.2.3',
    })
    const gone = fleet.event('agent.disconnected')
    agent.terminate()
    await gone
    const { body } = await fleet.call('GET', '/api/agents')
    expect(body.items[0].status).toBe('offline')
    expect(body.counts).toMatchObject({ all: 1, online: 0, offline: 1 })
  })

  test('answers a ping with a pong', async () => {
    const agent = await fleet.agent('web-1')
    await agent.connect()
    const pong = agent.next('pong')
    agent.send({ type: 'ping' })
    expect(await pong).toEqual({ type: 'pong' })
  })

  test('lets the newer session of an agent replace the older', async () => {
    const first = await fleet.agent('web-1')
    await first.join()
    const second = new WireAgent(fleet.url, first.identity)
    const closed = first.closed()
    await second.join()
    expect(await closed).toBe(4409)
    expect((await fleet.call('GET', '/api/agents/web-1')).body.status).toBe('online')
    second.terminate()
  })

  test.each([
    ['a frame with a wrong MAC', () => `1 ${'A'.repeat(43)} {"type":"ping"}`],
    ['a frame without a sequence', () => 'ping'],
    [
      'a frame made with other keys',
      () =>
        sealFrame(
          { session: 's', a2s: Buffer.alloc(32), s2a: Buffer.alloc(32) },
          'a2s',
          1,
          '{"type":"ping"}',
        ),
    ],
  ])('closes the session on %s', async (_name, text) => {
    const agent = await fleet.agent('web-1')
    await agent.join()
    const closed = agent.closed()
    agent.sendText(text())
    expect(await closed).toBe(4401)
  })

  test('closes the session on a frame that fits no schema, and ignores types it does not know', async () => {
    const agent = await fleet.agent('web-1')
    await agent.join()
    agent.send({ type: 'novelty' } as never)
    await agent.settle()
    const closed = agent.closed()
    agent.send({ type: 'accept', commandId: 'x' } as never)
    expect(await closed).toBe(4400)
  })

  test('closes a session that does not say hello in time', async () => {
    const { identity } = await fleet.agent('web-1')
    const silent = new WireAgent(fleet.url, identity)
    const closed = silent.closed()
    silent.on('frame', () => fleet.advance(6_000))
    silent.send = () => undefined
    await silent.connect()
    expect(await closed).toBe(4408)
  })

  test('refuses browsers, unsigned requests and replays, the last also after a restart', async () => {
    const { identity } = await fleet.agent('web-1')
    const url = `${fleet.url}/api/agent/connect`
    const upgrade = async (headers: Record<string, string>): Promise<number> => {
      const { request } = await import('node:http')
      return new Promise((resolve, reject) => {
        const sent = request(`${fleet.url}/api/agent/connect`, {
          headers: {
            connection: 'Upgrade',
            upgrade: 'websocket',
            'sec-websocket-version': '13',
            'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
            ...headers,
          },
        })
        sent.on('response', (response) => resolve(response.statusCode ?? 0))
        sent.on('upgrade', (_response, socket) => {
          socket.destroy()
          resolve(101)
        })
        sent.on('error', reject)
        sent.end()
      })
    }
    const signed = () => signedHeaders(identity, { method: 'GET', url })
    expect(await upgrade({})).toBe(401)
    expect(await upgrade({ ...signed(), origin: fleet.url })).toBe(403)
    const once = signed()
    expect(await upgrade(once)).toBe(101)
    expect(await upgrade(once)).toBe(401)
    const { host } = new URL(fleet.url)
    fleet = await fleet.restart()
    // The same Host as before, which the signature covers; the port changed.
    expect(await upgrade({ ...once, host })).toBe(401)
    expect(await upgrade({ ...signedHeaders(identity, { method: 'GET', url }), host })).toBe(101)
  })

  test('closes the channel of an agent that was removed, and tells it so, signed', async () => {
    const agent = await fleet.agent('web-1')
    await agent.join()
    const closed = agent.closed()
    expect((await fleet.call('DELETE', '/api/agents/web-1')).status).toBe(200)
    expect(await closed).toBe(4403)
    await expect(agent.connect()).rejects.toThrow('refused with 403')
    expect(
      await signedPost(agent.identity, `${fleet.url}/api/agent/poll`, { boot: '', wait: 0, frames: [] }),
    ).toMatchObject({ status: 403, isSigned: true, body: { code: 'FLT_AGENT_REVOKED' } })
    expect((await fleet.call('GET', '/api/agents/web-1')).status).toBe(404)
  })
})

describe('the poll gateway', () => {
  test('carries the same frames in signed requests and answers', async () => {
    const { identity } = await fleet.agent('web-1')
    const url = `${fleet.url}/api/agent/poll`
    const unknownBoot = await signedPost(identity, url, { boot: '', wait: 0, frames: [hello] })
    expect(unknownBoot).toMatchObject({ status: 409, isSigned: true, body: { code: 'FLT_AUTH_BOOT' } })
    const { boot } = (unknownBoot.body as { details: { boot: string } }).details

    const joined = await signedPost(identity, url, { boot, wait: 0, frames: [hello] })
    expect(joined).toMatchObject({ status: 200, isSigned: true })
    const { frames } = joined.body as { frames: { type: string; session: string }[] }
    const session = frames[0]?.session
    expect(frames[0]?.type).toBe('welcome')
    expect((await fleet.call('GET', '/api/agents/web-1')).body.status).toBe('online')

    const beat = await signedPost(identity, url, { boot, wait: 0, session, frames: [{ type: 'ping' }] })
    expect(beat.body).toEqual({ boot, frames: [{ type: 'pong' }] })
    expect(await signedPost(identity, url, { boot, wait: 0, session: 'other', frames: [] })).toMatchObject({
      status: 409,
      isSigned: true,
      body: { code: 'FLT_SESSION_UNKNOWN' },
    })

    const waiting = signedPost(identity, url, { boot, wait: 25, session, frames: [] })
    const submitted = await fleet.call('POST', '/api/agents/web-1/wire/free', {})
    expect(submitted).toMatchObject({ status: 202, body: { state: 'offered' } })
    expect((await waiting).body).toMatchObject({
      frames: [{ type: 'offer', commandId: submitted.body.id, plugin: 'wire', command: 'free', epoch: 1 }],
    })
  })

  test('answers a wait without a frame when its time is over', async () => {
    const { identity } = await fleet.agent('web-1')
    const url = `${fleet.url}/api/agent/poll`
    const { body } = await signedPost(identity, url, { boot: '', wait: 0, frames: [] })
    const { boot } = (body as { details: { boot: string } }).details
    const joined = await signedPost(identity, url, { boot, wait: 0, frames: [hello] })
    const { session } = (joined.body as { frames: { session: string }[] }).frames[0]!
    const waiting = signedPost(identity, url, { boot, wait: 25, session, frames: [] })
    await signedPost(identity, url, { boot, wait: 0, session, frames: [{ type: 'pong' }] })
    fleet.advance(25_500)
    expect((await waiting).body).toEqual({ boot, frames: [] })
  })

  test('refuses what is replayed, wrongly signed or too far from its clock', async () => {
    const { identity } = await fleet.agent('web-1')
    const url = `${fleet.url}/api/agent/poll`
    const value = { boot: '', wait: 0, frames: [] }
    const headers = signedHeaders(identity, { method: 'POST', url, body: JSON.stringify(value) })
    expect((await signedPost(identity, url, value, headers)).status).toBe(409)
    expect(await signedPost(identity, url, value, headers)).toMatchObject({
      status: 401,
      isSigned: true,
      body: { code: 'FLT_AUTH_REPLAY' },
    })
    const other = { ...identity, root: Buffer.alloc(32, 1) }
    expect(await signedPost(other, url, value)).toMatchObject({
      status: 401,
      isSigned: false,
      body: { code: 'FLT_AUTH_SIGNATURE' },
    })
    expect(await signedPost({ ...identity, agentId: 'nobody' }, url, value)).toMatchObject({ status: 401 })
    const late = signedHeaders(
      identity,
      { method: 'POST', url, body: JSON.stringify(value) },
      Date.now() - 3_600_000,
    )
    const clock = await signedPost(identity, url, value, late)
    expect(clock).toMatchObject({ status: 401, isSigned: true, body: { code: 'FLT_AUTH_CLOCK' } })
    expect(
      Math.abs(Date.parse((clock.body as { details: { time: string } }).details.time) - Date.now()),
    ).toBeLessThan(5_000)
  })
})

describe('the gate before both gateways', () => {
  test('tells agents that come anew to come again while the store lets nobody in, and lets the first in afterwards', async () => {
    await fleet.dispose()
    const dir = await mkdtemp(join(tmpdir(), 'fleet-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    fleet = await startTestFleet({ dir })
    const poll = `${fleet.url}/api/agent/poll`
    const agents = await Promise.all(Array.from({ length: 10 }, (_, i) => fleet.agent(`web-${i}`)))
    const [socketAgent, ...pollAgents] = agents
    const { body } = await signedPost(pollAgents[0]!.identity, poll, { boot: '', wait: 0, frames: [] })
    const { boot } = (body as { details: { boot: string } }).details

    const foreign = new Database(join(dir, 'core.db'))
    onTestFinished(() => void foreign.close())
    foreign.exec('BEGIN IMMEDIATE')
    // Faster than on the wall, so that six seconds at the gate take one.
    const clock = setInterval(() => fleet.advance(500), 100)
    onTestFinished(() => clearInterval(clock))
    const answers = pollAgents.map(({ identity }) =>
      signedPost(identity, poll, { boot, wait: 0, frames: [hello] }),
    )
    // Eight places, all held by agents whose nonce cannot be committed.
    const ninth = await Promise.race(answers)
    expect(ninth).toMatchObject({ status: 503, isSigned: true, retryAfter: '5' })
    expect(ninth.body).toMatchObject({ code: 'FLT_AGENT_BUSY' })
    await expect(socketAgent!.connect()).rejects.toThrow('refused with 503')
    foreign.exec('ROLLBACK')
    const statuses = (await Promise.all(answers)).map(({ status }) => status)
    expect(statuses.sort()).toEqual([...Array.from({ length: 8 }, () => 200), 503])
    await socketAgent!.connect()
  })
})
