import type { OutputChunk } from '@fleetupdate/sdk'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startTestFleet, type TestFleet } from '../agents/testing/test-fleet.ts'
import type { WireAgent } from '../agents/testing/wire-agent.ts'

let fleet: TestFleet
let agent: WireAgent
let commandId: string

beforeEach(async () => {
  fleet = await startTestFleet()
  agent = await fleet.agent('web-1')
  await agent.join()
  const offered = agent.next('offer')
  await fleet.call('POST', '/api/agents/web-1/wire/run', {})
  const offer = await offered
  commandId = offer.commandId
  agent.send({ type: 'accept', commandId, epoch: 1, startedAt: new Date().toISOString() })
})
afterEach(() => fleet.dispose())

/** Keeps output in memory, with the rules of an output store. */
function keepOutput() {
  const calls: OutputChunk[][] = []
  let failures = 0
  const text = () =>
    calls
      .flat()
      .map((chunk) => chunk.text)
      .join('')
  const stop = fleet.hook.provide({
    async append(chunks) {
      if (failures-- > 0) throw new Error('the disk is full')
      calls.push([...chunks])
    },
    end: async () => calls.flat().at(-1)?.end ?? 0,
  })
  const fail = (times: number): void => {
    failures = times
  }
  return { calls, text, stop, fail }
}

function send(offset: number, text: string): Promise<{ output?: number }> {
  const acked = agent.next('ack', (ack) => ack.commandId === commandId && ack.output !== undefined)
  agent.send({ type: 'output', commandId, epoch: 1, offset, end: offset + Buffer.byteLength(text), text })
  return acked
}

test('output is acknowledged up to where it is stored, and makes its command running', async () => {
  const kept = keepOutput()
  expect((await send(0, 'häh')).output).toBe(4)
  expect((await send(4, 'b')).output).toBe(5)
  expect(kept.text()).toBe('hähb')
  await expect
    .poll(async () => (await fleet.call('GET', `/api/commands/${commandId}`)).body.state)
    .toBe('running')
})

test('a chunk that came before is acknowledged again and not stored again', async () => {
  const kept = keepOutput()
  await send(0, 'one')
  expect((await send(0, 'one')).output).toBe(3)
  expect(kept.text()).toBe('one')
})

test('a gap is answered with the end of what is stored', async () => {
  const kept = keepOutput()
  await send(0, 'one')
  expect((await send(10, 'late')).output).toBe(3)
  expect(kept.text()).toBe('one')
})

test('chunks that come together are appended together', async () => {
  const kept = keepOutput()
  await send(0, '0')
  for (let i = 1; i < 50; i++)
    agent.send({ type: 'output', commandId, epoch: 1, offset: i, end: i + 1, text: String(i % 10) })
  expect((await send(50, '.')).output).toBeGreaterThan(1)
  await agent.settle()
  expect(kept.text()).toHaveLength(51)
  expect(kept.calls.length).toBeLessThan(40)
})

test('output whose store fails is not acknowledged, and taken when it is sent again', async () => {
  const kept = keepOutput()
  kept.fail(1)
  agent.send({ type: 'output', commandId, epoch: 1, offset: 0, end: 3, text: 'one' })
  await agent.settle()
  expect(agent.frames.some((frame) => frame.type === 'ack' && frame.output !== undefined)).toBe(false)
  expect((await send(0, 'one')).output).toBe(3)
  expect(kept.text()).toBe('one')
})

test('without a store output is acknowledged and dropped, and the command says so', async () => {
  expect((await send(0, 'one')).output).toBe(3)
  const kept = keepOutput()
  expect((await send(3, 'two')).output).toBe(6)
  expect(kept.text()).toBe('')
  const acked = agent.next('ack', (ack) => ack.result === true)
  const at = new Date().toISOString()
  agent.send({
    type: 'result',
    commandId,
    epoch: 1,
    state: 'succeeded',
    output: { bytes: 6 },
    startedAt: at,
    finishedAt: at,
  })
  await acked
  const { body } = await fleet.call('GET', `/api/commands/${commandId}`)
  expect(body.output).toEqual({ bytes: 6, stored: false })
})

test('output of a command that has ended is acknowledged, so that the agent can forget it', async () => {
  const at = new Date().toISOString()
  const acked = agent.next('ack', (ack) => ack.result === true)
  agent.send({
    type: 'result',
    commandId,
    epoch: 1,
    state: 'failed',
    output: { bytes: 3 },
    startedAt: at,
    finishedAt: at,
  })
  await acked
  expect((await send(0, 'one')).output).toBe(3)
})
