import {
  confirmation,
  confirms,
  deriveRootKey,
  type EphemeralKey,
  newEphemeralKey,
  type Transcript,
} from '@fleetupdate/sdk/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { psk, startTestFleet, type TestFleet } from './testing/test-fleet.ts'
import { enrol, WireAgent } from './testing/wire-agent.ts'

let fleet: TestFleet
beforeEach(async () => {
  fleet = await startTestFleet()
})
afterEach(() => fleet.dispose())

const path = '/api/agent/enroll'

async function start(agentId: string, own: EphemeralKey, secretId = 'psk') {
  return fleet.call('POST', path, { step: 'start', agentId, secretId, agentKey: own.publicKey })
}

function finishOf(agentId: string, own: EphemeralKey, started: { [name: string]: string }, secret = psk) {
  const { enrolmentId = '', kid = '', serverKey = '' } = started
  const transcript: Transcript = {
    agentId,
    secretId: 'psk',
    enrolmentId,
    kid,
    agentKey: own.publicKey,
    serverKey,
  }
  const root = deriveRootKey(own, serverKey, Buffer.from(secret), transcript)
  const proof = confirmation(root, 'agent', transcript)
  return {
    body: { step: 'finish', agentId, enrolmentId, confirmation: proof },
    isConfirmed: (answer: string) => confirms(root, 'server', transcript, answer),
  }
}

describe('enrolment', () => {
  test('gives an agent that knows SERVER_PSK its identity, and says the same again when asked again', async () => {
    const own = newEphemeralKey()
    const finish = finishOf('web-1', own, (await start('web-1', own)).body)
    const first = await fleet.call('POST', path, finish.body)
    expect(first.status).toBe(200)
    expect(finish.isConfirmed(first.body.confirmation)).toBe(true)
    fleet = await fleet.restart()
    const again = await fleet.call('POST', path, finish.body)
    expect(again).toMatchObject({ status: 200, body: { confirmation: first.body.confirmation } })
    const forged = { ...finish.body, confirmation: 'A'.repeat(43) }
    expect((await fleet.call('POST', path, forged)).body.code).toBe('FLT_ENROL_REFUSED')
  })

  test('refuses a wrong secret, and an unknown secret id in the same way', async () => {
    await expect(enrol(fleet.url, 'web-1', { id: 'psk', text: 'wrong' })).rejects.toMatchObject({
      code: 'FLT_ENROL_REFUSED',
      status: 403,
    })
    await expect(enrol(fleet.url, 'web-1', { id: 'nothing', text: psk })).rejects.toMatchObject({
      code: 'FLT_ENROL_REFUSED',
    })
    expect((await fleet.call('GET', '/api/agents')).body.items).toEqual([])
  })

  test('closes an enrolment that takes longer than five minutes', async () => {
    const own = newEphemeralKey()
    const finish = finishOf('web-1', own, (await start('web-1', own)).body)
    fleet.advance(5 * 60_000 + 1)
    expect(await fleet.call('POST', path, finish.body)).toMatchObject({
      status: 410,
      body: { code: 'FLT_ENROL_EXPIRED' },
    })
  })

  test('gives an id to one of many who want it at the same time', async () => {
    const wishes = Array.from({ length: 8 }, () => enrol(fleet.url, 'web-1', { id: 'psk', text: psk }))
    const ends = await Promise.allSettled(wishes)
    expect(ends.filter((end) => end.status === 'fulfilled')).toHaveLength(1)
    for (const end of ends) if (end.status === 'rejected') expect(end.reason.code).toBe('FLT_ENROL_ID_TAKEN')
  })

  test('keeps an id taken, also after its removal, until a reset gives a token for it alone', async () => {
    const former = await fleet.agent('web-1')
    await fleet.call('DELETE', '/api/agents/web-1')
    await expect(enrol(fleet.url, 'web-1', { id: 'psk', text: psk })).rejects.toMatchObject({
      code: 'FLT_ENROL_ID_TAKEN',
      status: 409,
    })
    const { body } = await fleet.call('POST', '/api/agents/web-1/reset')
    expect(body.command).toContain(body.token)
    const [, id = '', text = ''] = body.token.split('_')
    await expect(enrol(fleet.url, 'web-2', { id, text })).rejects.toMatchObject({
      code: 'FLT_ENROL_REFUSED',
    })
    const agent = new WireAgent(fleet.url, await enrol(fleet.url, 'web-1', { id, text }))
    await agent.join()
    expect((await fleet.call('GET', '/api/agents/web-1')).body.status).toBe('online')
    agent.terminate()
    await expect(enrol(fleet.url, 'web-1', { id, text })).rejects.toMatchObject({
      code: 'FLT_ENROL_ID_TAKEN',
    })
    await expect(former.connect()).rejects.toThrow('refused with 401')
  })

  test('ends a token after an hour, and with the next reset', async () => {
    await fleet.agent('web-1')
    const reset = async () => (await fleet.call('POST', '/api/agents/web-1/reset')).body.token.split('_')
    const [, oldId, oldText] = await reset()
    const [, id, text] = await reset()
    await expect(enrol(fleet.url, 'web-1', { id: oldId, text: oldText })).rejects.toMatchObject({
      code: 'FLT_ENROL_ID_TAKEN',
    })
    fleet.advance(3_600_001)
    await expect(enrol(fleet.url, 'web-1', { id, text })).rejects.toMatchObject({
      code: 'FLT_ENROL_ID_TAKEN',
    })
  })

  test('invites a new id once, and nobody who is enrolled', async () => {
    const token = await fleet.fleet.invite('web-9')
    const [, id = '', text = ''] = token.split('_')
    await enrol(fleet.url, 'web-9', { id, text })
    expect(await fleet.fleet.invite('web-9')).toBe('')
  })

  test.each([
    { step: 'start', agentId: '../x', secretId: 'psk', agentKey: 'A'.repeat(43) },
    { step: 'start', agentId: 'a', secretId: 'psk', agentKey: 'short' },
    { step: 'start', agentId: 'a', secretId: 'psk', agentKey: 'A'.repeat(43), extra: 1 },
    { step: 'other' },
    [],
  ])('refuses a request of another shape: %j', async (body) => {
    expect((await fleet.call('POST', path, body)).status).toBe(400)
  })

  test('refuses a public key of low order', async () => {
    const body = { step: 'start', agentId: 'a', secretId: 'psk', agentKey: 'A'.repeat(43) }
    expect((await fleet.call('POST', path, body)).body.code).toBe('FLT_ENROL_REFUSED')
  })
})
