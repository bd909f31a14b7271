import type { ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startTestFleet, type TestFleet } from '../agents/testing/test-fleet.ts'
import type { WireAgent } from '../agents/testing/wire-agent.ts'

let fleet: TestFleet
beforeEach(async () => {
  fleet = await startTestFleet()
})
afterEach(() => fleet.dispose())

type Offer = ServerFrameOf<'offer'>

const now = () => new Date().toISOString()
const accepted = ({ commandId, epoch }: Offer) =>
  ({ type: 'accept', commandId, epoch, startedAt: now() }) as const
const finished = ({ commandId, epoch }: Offer, more: object = {}) =>
  ({
    type: 'result',
    commandId,
    epoch,
    state: 'succeeded',
    output: { bytes: 0 },
    startedAt: now(),
    finishedAt: now(),
    ...more,
  }) as const

async function online(id = 'web-1'): Promise<WireAgent> {
  const agent = await fleet.agent(id)
  await agent.join()
  return agent
}
const submit = (command: string, more: object = {}, headers?: Record<string, string>) =>
  fleet.call('POST', '/api/agents/web-1/commands', { command, ...more }, headers)
const read = async (id: string) => (await fleet.call('GET', `/api/commands/${id}`)).body
const offers = (agent: WireAgent) => agent.frames.filter((frame): frame is Offer => frame.type === 'offer')
const becomes = (commandId: string, state: string) =>
  fleet.event('command.updated', (update) => update.commandId === commandId && update.state === state)

describe('a command', () => {
  test('goes from the click to its result', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { status, body } = await submit('wire.run', { input: { n: 1 }, timeoutSeconds: 30 })
    expect(status).toBe(202)
    expect(body).toMatchObject({ state: 'offered', cause: { type: 'user', id: 'ada' }, input: { n: 1 } })
    const offer = await offered
    expect(offer).toMatchObject({
      commandId: body.id,
      epoch: 1,
      plugin: 'wire',
      command: 'run',
      input: { n: 1 },
      lane: 'packages',
      timeoutSeconds: 30,
      endless: false,
    })
    agent.send(accepted(offer))
    agent.send({ type: 'progress', commandId: offer.commandId, epoch: 1, percent: 40, message: 'half' })
    await agent.settle()
    expect(await read(body.id)).toMatchObject({
      state: 'running',
      progress: { percent: 40, message: 'half' },
    })
    const acked = agent.next('ack', (ack) => ack.result === true)
    agent.send(finished(offer, { exitCode: 0, result: { sum: 3, extra: 1 } }))
    await acked
    expect(await read(body.id)).toMatchObject({ state: 'succeeded', exitCode: 0, result: { sum: 3 } })
    expect(fleet.fleet.queue.successRate(100)).toBe(1)
  })

  test('is applied once: a repeated result is acknowledged and changes nothing', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const offer = await offered
    for (const state of ['succeeded', 'failed'] as const) {
      const acked = agent.next('ack', (ack) => ack.result === true)
      agent.send(finished(offer, { state }))
      await acked
    }
    expect((await read(body.id)).state).toBe('succeeded')
    expect(fleet.fleet.queue.successRate(100)).toBe(1)
  })

  test('says so where its result does not fit the contract', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const ended = becomes(body.id, 'succeeded')
    agent.send(finished(await offered, { result: { sum: 'many' } }))
    await ended
    const command = await read(body.id)
    expect(command.result).toBeUndefined()
    expect(command.reason).toContain('does not fit the contract')
  })

  test('waits for an agent that is away, and survives a restart of the server', async () => {
    await fleet.agent('web-1')
    const { body } = await submit('wire.run', { input: { n: 7 } })
    expect(body.state).toBe('queued')
    fleet = await fleet.restart()
    expect((await read(body.id)).state).toBe('queued')
  })

  test('is refused with a clear error where something is wrong', async () => {
    await fleet.agent('web-1')
    const codes = async (answer: Promise<{ status: number; body: { code: string } }>) => {
      const { status, body } = await answer
      return `${status} ${body.code}`
    }
    expect(await codes(submit('wire.nothing'))).toBe('404 FLT_COMMAND_UNKNOWN')
    expect(await codes(submit('wire.run', { input: { n: 'x' } }))).toBe('400 FLT_COMMAND_INPUT')
    expect(await codes(submit('wire.run', { input: { m: 1 } }))).toBe('400 FLT_COMMAND_INPUT')
    expect(await codes(submit('wire.run', { expiresAt: '2001-01-01T00:00:00Z' }))).toBe(
      '400 FLT_HTTP_INVALID',
    )
    expect(await codes(fleet.call('POST', '/api/agents/nobody/wire/run', {}))).toBe('404 FLT_AGENT_UNKNOWN')
    expect(await codes(submit('wire.wipe', {}, { 'x-role': 'operator' }))).toBe('403 FLT_AUTH_FORBIDDEN')
    expect(await codes(fleet.call('GET', '/api/commands/none'))).toBe('404 FLT_COMMAND_NOT_FOUND')
    expect(await codes(fleet.call('GET', '/api/commands?state=odd'))).toBe('400 FLT_FILTER_UNKNOWN')
    expect(await codes(fleet.call('GET', '/api/commands?cursor=odd'))).toBe('400 FLT_CURSOR_INVALID')
  })

  test('of another agent is nobody else’s business', async () => {
    const owner = await online()
    const stranger = await online('web-2')
    const offered = owner.next('offer')
    const { body } = await submit('wire.run')
    const offer = await offered
    stranger.send(accepted(offer))
    stranger.send(finished(offer))
    stranger.send({ type: 'output', commandId: body.id, epoch: 1, offset: 0, end: 1, text: 'x' })
    await stranger.settle()
    expect((await read(body.id)).state).toBe('offered')
    expect(stranger.frames.filter((frame) => frame.type === 'ack' && frame.commandId === body.id)).toEqual([])
  })
})

describe('lanes', () => {
  test('run one command at a time and in order; commands without a lane do not wait', async () => {
    const agent = await online()
    const ids: string[] = []
    for (const n of [1, 2, 3]) ids.push((await submit('wire.run', { input: { n } })).body.id)
    const free = (await submit('wire.free')).body
    expect(free.state).toBe('offered')
    await agent.settle()
    expect(offers(agent).map((offer) => offer.commandId)).toEqual([ids[0], free.id])
    for (const [i, id] of ids.entries()) {
      const next = i < 2 ? agent.next('offer') : undefined
      agent.send(finished(offers(agent).find((offer) => offer.commandId === id)!))
      if (next) expect((await next).commandId).toBe(ids[i + 1])
    }
  })

  test('are not held up by what is planned for later', async () => {
    const agent = await online()
    const later = new Date(Date.now() + 3_600_000).toISOString()
    const planned = (await submit('wire.run', { notBefore: later })).body
    expect(planned.state).toBe('queued')
    expect((await submit('wire.run')).body.state).toBe('offered')
    await agent.settle()
    const offered = agent.next('offer')
    agent.send(finished(offers(agent)[0]!))
    await agent.settle()
    fleet.advance(3_600_001)
    await agent.settle()
    expect((await offered).commandId).toBe(planned.id)
  })

  test('offer a command again that its agent could not take', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const { commandId, epoch } = await offered
    agent.send({ type: 'reject', commandId, epoch, kind: 'busy', reason: 'another apt' })
    await agent.settle()
    expect((await read(body.id)).state).toBe('queued')
    const again = agent.next('offer')
    fleet.advance(5_001)
    expect(await again).toMatchObject({ commandId, epoch: 1 })
    const ended = becomes(body.id, 'rejected')
    agent.send({ type: 'reject', commandId, epoch, kind: 'policy', reason: 'not here' })
    await ended
    expect((await read(body.id)).reason).toBe('policy: not here')
  })
})

describe('an Idempotency-Key', () => {
  const key = { 'idempotency-key': 'key-1' }

  test('makes one command, across a restart, and refuses another body', async () => {
    await fleet.agent('web-1')
    const first = (await submit('wire.run', { input: { n: 1 } }, key)).body.id
    expect((await submit('wire.run', { input: { n: 1 } }, key)).body.id).toBe(first)
    fleet = await fleet.restart()
    expect((await submit('wire.run', { input: { n: 1 } }, key)).body.id).toBe(first)
    expect(await submit('wire.run', { input: { n: 2 } }, key)).toMatchObject({
      status: 409,
      body: { code: 'FLT_IDEMPOTENCY_CONFLICT' },
    })
    expect((await fleet.call('GET', '/api/commands')).body.items).toHaveLength(1)
  })

  test('makes one command of ten requests at once', async () => {
    await fleet.agent('web-1')
    const answers = await Promise.all(Array.from({ length: 10 }, () => submit('wire.run', {}, key)))
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect((await fleet.call('GET', '/api/commands')).body.items).toHaveLength(1)
  })

  test('is free again after seven days', async () => {
    await fleet.agent('web-1')
    const first = (await submit('wire.run', {}, key)).body.id
    fleet.advance(7 * 24 * 3_600_000 + 1)
    const second = await submit('wire.run', { input: { n: 2 } }, key)
    expect(second.status).toBe(202)
    expect(second.body.id).not.toBe(first)
  })
})

describe('cancel', () => {
  const cancel = (id: string, body = {}) => fleet.call('POST', `/api/commands/${id}/cancel`, body)

  test('ends a queued command at once, and an ended one not again', async () => {
    await fleet.agent('web-1')
    const { body } = await submit('wire.run')
    expect(await cancel(body.id)).toMatchObject({
      status: 202,
      body: { state: 'cancelled', reason: 'Cancelled by ada.' },
    })
    expect(await cancel(body.id)).toMatchObject({ status: 409, body: { code: 'FLT_COMMAND_FINISHED' } })
    expect((await cancel('none')).status).toBe(404)
  })

  test('is sent to the agent of a started command, again until the result, and with force where wanted', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const offer = await offered
    agent.send(accepted(offer))
    await agent.settle()
    const gentle = agent.next('cancel')
    expect((await cancel(body.id)).body).toMatchObject({ state: 'started' })
    expect(await gentle).toEqual({ type: 'cancel', commandId: body.id, epoch: 1 })
    const repeated = agent.next('cancel')
    fleet.advance(5_001)
    await repeated
    const forced = agent.next('cancel', (frame) => frame.force === true)
    await cancel(body.id, { force: true })
    await forced
    const ended = becomes(body.id, 'cancelled')
    agent.send(finished(offer, { state: 'cancelled' }))
    await ended
  })

  test('asks the agent about an offer that nobody answered, and believes only its word that it never started', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const { notAfter } = await offered
    expect((await cancel(body.id)).body.state).toBe('offered')
    const asked = agent.next('offer')
    fleet.advance(65_001)
    expect((await asked).notAfter).toBe(notAfter)
    expect((await fleet.call('GET', `/api/commands/${body.id}`)).body.state).toBe('unknown')
    const ended = becomes(body.id, 'cancelled')
    agent.send({ type: 'reject', commandId: body.id, epoch: 1, kind: 'cancelled', reason: 'never began' })
    await ended
  })

  test('ends what can be ended of a batch', async () => {
    await fleet.agent('web-1')
    await fleet.agent('web-2')
    const { status, body } = await fleet.call('POST', '/api/commands', {
      command: 'wire.run',
      targets: { filter: 'all' },
    })
    expect(status).toBe(202)
    expect(body).toMatchObject({ batch: { total: 2 } })
    expect(body.items).toHaveLength(2)
    const batch = (await fleet.call('POST', `/api/batches/${body.batch.id}/cancel`)).body
    expect(batch.counts).toEqual({ cancelled: 2 })
    expect((await fleet.call('GET', `/api/commands?batch=${body.batch.id}`)).body.items).toHaveLength(2)
    const none = { command: 'wire.run', targets: { agents: [] } }
    expect((await fleet.call('POST', '/api/commands', none)).body.code).toBe('FLT_BATCH_EMPTY')
  })
})

describe('time', () => {
  test('ends a command that nobody took before it expires', async () => {
    await fleet.agent('web-1')
    const { body } = await submit('wire.run', { expiresAt: new Date(Date.now() + 5_000).toISOString() })
    const ended = becomes(body.id, 'expired')
    fleet.advance(5_001)
    await ended
  })

  test('repeats an offer that is not answered, with a later end and the same epoch', async () => {
    const agent = await online()
    const first = agent.next('offer')
    await submit('wire.run')
    const { notAfter } = await first
    const second = agent.next('offer')
    fleet.advance(10_001)
    const again = await second
    expect(again.epoch).toBe(1)
    expect(Date.parse(again.notAfter)).toBeGreaterThan(Date.parse(notAfter))
  })

  test('shows a started command of a silent agent as unknown, and what really happened once it is back', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const offer = await offered
    agent.send(accepted(offer))
    await agent.settle()
    const gone = fleet.event('agent.disconnected')
    agent.terminate()
    await gone
    fleet.advance(60_001)
    expect((await read(body.id)).state).toBe('unknown')
    expect((await fleet.call('GET', '/api/commands?state=unknown')).body.items).toHaveLength(1)
    const attempts = [{ commandId: offer.commandId, epoch: 1, startedAt: now() }]
    await agent.join({ attempts })
    expect((await read(body.id)).state).toBe('started')
    const ended = becomes(body.id, 'succeeded')
    agent.send(finished(offer))
    await ended
  })
})

describe('an agent that comes back', () => {
  test('is believed where it already started what the server thinks is only offered', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const { commandId } = await offered
    agent.terminate()
    const started = becomes(body.id, 'started')
    await agent.connect({ attempts: [{ commandId, epoch: 1, startedAt: now() }] })
    await started
  })

  test('has lost an attempt that it does not name: interrupted, unless the result still comes', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const offer = await offered
    agent.send(accepted(offer))
    await agent.settle()
    agent.terminate()
    await agent.join({ bootId: 'boot-2' })
    expect((await read(body.id)).state).toBe('started')
    const ended = becomes(body.id, 'interrupted')
    fleet.advance(30_001)
    await ended
    expect((await read(body.id)).reason).toContain('without any record')
  })

  test('is asked what became of an attempt it does not name, and may still tell', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const offer = await offered
    agent.send(accepted(offer))
    await agent.settle()
    agent.terminate()
    await agent.join()
    const question = await agent.next('offer')
    expect(question).toMatchObject({ commandId: offer.commandId, epoch: 1 })
    expect(Date.parse(question.notAfter)).toBeLessThanOrEqual(Date.now())
    const ended = becomes(body.id, 'succeeded')
    agent.send(finished(offer))
    await ended
  })

  test('says that it never started what it was asked for: interrupted at once', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    const offer = await offered
    agent.send(accepted(offer))
    await agent.settle()
    agent.terminate()
    await agent.join()
    const { commandId, epoch, notAfter } = await agent.next('offer')
    const ended = becomes(body.id, 'interrupted')
    agent.send({ type: 'reject', commandId, epoch, kind: 'expired', reason: 'too late', notAfter })
    await ended
  })

  test('under a new identity never gets what the former one was at: it is lost', async () => {
    const agent = await online()
    const offered = agent.next('offer')
    const { body } = await submit('wire.run')
    agent.send(accepted(await offered))
    await agent.settle()
    const queued = (await submit('wire.run')).body
    const told = becomes(body.id, 'lost')
    await fleet.call('POST', '/api/agents/web-1/reset')
    expect(await told).toMatchObject({ finished: true })
    expect((await read(body.id)).state).toBe('lost')
    expect((await read(queued.id)).state).toBe('cancelled')
    fleet = await fleet.restart()
    expect((await read(body.id)).state).toBe('lost')
  })
})
