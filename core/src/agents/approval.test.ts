import { confirmation, deriveRootKey, newEphemeralKey, type Transcript } from '@fleetupdate/sdk/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { psk, startTestFleet, type TestFleet } from './testing/test-fleet.ts'
import { WireAgent } from './testing/wire-agent.ts'

let fleet: TestFleet
beforeEach(async () => {
  fleet = await startTestFleet()
})
afterEach(() => fleet.dispose())

const path = '/api/agent/enroll'
const requests = async () => (await fleet.call('GET', '/api/enrolment/requests')).body.items
const decide = (id: string, verb: string) => fleet.call('POST', `/api/enrolment/requests/${id}/${verb}`, {})

/** A machine up to its finish, which it can say again and again. */
async function machine(agentId: string, secret: { id: string; text: string }) {
  const own = newEphemeralKey()
  const start = { step: 'start', agentId, secretId: secret.id, agentKey: own.publicKey }
  const { enrolmentId, kid, serverKey } = (await fleet.call('POST', path, start)).body
  const ids = { agentId, secretId: secret.id, enrolmentId, kid }
  const transcript: Transcript = { ...ids, agentKey: own.publicKey, serverKey }
  const root = deriveRootKey(own, serverKey, Buffer.from(secret.text), transcript)
  const proof = confirmation(root, 'agent', transcript)
  return {
    identity: { agentId, kid, root },
    finish: (more: object = {}) =>
      fleet.call('POST', path, { step: 'finish', agentId, enrolmentId, confirmation: proof, ...more }),
    forge: () =>
      fleet.call('POST', path, { step: 'finish', agentId, enrolmentId, confirmation: 'A'.repeat(43) }),
  }
}
async function tokenWithApproval(terms: object = {}) {
  const { body } = await fleet.call('POST', '/api/enrolment/tokens', { approval: true, ...terms })
  return { id: body.id, text: body.token.split('_')[2] }
}

describe('an enrolment that somebody must approve', () => {
  test('waits, also over a restart, says what it is, and is let in', async () => {
    const vm = await machine('vm-01', await tokenWithApproval())
    expect((await vm.finish()).body.code).toBe('FLT_ENROL_WAITING')
    expect((await fleet.call('GET', '/api/agents')).body.items).toEqual([])
    fleet = await fleet.restart()
    const about = { hostname: 'vm-01.example', os: 'Debian 12', arch: 'x64' }
    expect((await vm.finish({ about })).body.code).toBe('FLT_ENROL_WAITING')
    expect((await vm.finish({ about: { hostname: 'other' } })).body.code).toBe('FLT_ENROL_WAITING')
    const [request] = await requests()
    expect(request).toMatchObject({ agentId: 'vm-01', state: 'waiting', about, address: '127.0.0.1' })
    expect((await decide(request.id, 'approve')).body).toMatchObject({ state: 'approved', decidedBy: 'ada' })
    expect((await vm.finish()).status).toBe(200)
    const agent = new WireAgent(fleet.url, vm.identity)
    await agent.join()
    agent.terminate()
    const { body } = await fleet.call('GET', '/api/agents/vm-01')
    expect(body.status).toBe('online')
  })

  test('is refused for good, and its token stays used', async () => {
    const token = await tokenWithApproval()
    const vm = await machine('vm-01', token)
    await vm.finish()
    const [{ id }] = await requests()
    expect((await decide(id, 'refuse')).body.state).toBe('refused')
    expect(await vm.finish()).toMatchObject({ status: 403, body: { code: 'FLT_ENROL_DECLINED' } })
    expect((await (await machine('vm-02', token)).finish()).body.code).toBe('FLT_ENROL_REFUSED')
    const keys = await fleet.store.read.selectFrom('enrolment_request_keys').selectAll().execute()
    expect(keys).toEqual([])
  })

  test('is decided once, however many decide at the same moment', async () => {
    const vm = await machine('vm-01', await tokenWithApproval())
    await vm.finish()
    const [{ id }] = await requests()
    const verbs = ['approve', 'refuse', 'approve', 'refuse', 'approve']
    const answers = await Promise.all(verbs.map((verb) => decide(id, verb)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    const state = (await requests())[0].state
    expect((await vm.finish()).status).toBe(state === 'approved' ? 200 : 403)
  })

  test('gives one id to one of two that wait for it', async () => {
    const token = await tokenWithApproval({ uses: 2 })
    const machines = [await machine('vm-01', token), await machine('vm-01', token)]
    for (const vm of machines) await vm.finish()
    const [first, second] = await requests()
    expect((await decide(first.id, 'approve')).status).toBe(200)
    expect((await decide(second.id, 'approve')).body.code).toBe('FLT_ENROL_ID_TAKEN')
  })

  test('expires after a day, and then starts anew', async () => {
    const vm = await machine('vm-01', await tokenWithApproval())
    await vm.finish()
    const [{ id }] = await requests()
    fleet.advance(24 * 3_600_000 + 1)
    expect((await requests())[0].state).toBe('expired')
    expect((await decide(id, 'approve')).body.code).toBe('FLT_ENROL_REQUEST_UNKNOWN')
    expect((await vm.finish()).body.code).toBe('FLT_ENROL_EXPIRED')
  })

  test('tells nothing to who does not know its proof', async () => {
    const vm = await machine('vm-01', await tokenWithApproval())
    await vm.finish()
    expect((await vm.forge()).body.code).toBe('FLT_ENROL_REFUSED')
  })

  test('is asked of all by the setting, but not of who was invited by name', async () => {
    await fleet.dispose()
    fleet = await startTestFleet({ approveAll: true })
    const standing = { id: 'psk', text: psk }
    expect((await (await machine('vm-01', standing)).finish()).body.code).toBe('FLT_ENROL_WAITING')
    const { body } = await fleet.call('POST', '/api/enrolment/tokens', { agentId: 'vm-02' })
    const invited = await machine('vm-02', { id: body.id, text: body.token.split('_')[2] })
    expect((await invited.finish()).status).toBe(200)
  })

  test('does not fill the queue: five may wait for one id', async () => {
    const token = await tokenWithApproval({ uses: 10 })
    const codes: string[] = []
    for (let i = 0; i < 6; i++) codes.push((await (await machine('vm-01', token)).finish()).body.code)
    expect(codes).toEqual([...Array(5).fill('FLT_ENROL_WAITING'), 'FLT_ENROL_BUSY'])
  })
})
