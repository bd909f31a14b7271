import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { psk, startTestFleet, type TestFleet } from './testing/test-fleet.ts'
import { enrol } from './testing/wire-agent.ts'

let fleet: TestFleet
beforeEach(async () => {
  fleet = await startTestFleet()
})
afterEach(() => fleet.dispose())

const make = async (terms: object = {}) => (await fleet.call('POST', '/api/enrolment/tokens', terms)).body
const list = async () => (await fleet.call('GET', '/api/enrolment/tokens')).body.items
const use = (agentId: string, { id, token }: { id: string; token: string }) =>
  enrol(fleet.url, agentId, { id, text: token.split('_')[2] ?? '' })
const codes = async (tries: readonly Promise<unknown>[]) =>
  (await Promise.allSettled(tries)).map((each) => (each.status === 'fulfilled' ? 'ok' : each.reason.code))

describe('an enrolment token', () => {
  test('is shown once, with the line to paste, and then listed without its secret', async () => {
    const made = await make({ agentId: 'vm-01', note: 'rack 4' })
    expect(made.command).toBe(
      `AGENT_ID='vm-01' SERVER_URL='${fleet.url}' AGENT_PSK='${made.token}' sudo --preserve-env=AGENT_ID,SERVER_URL,AGENT_PSK fleetupdate-agent`,
    )
    const items = await list()
    expect(items).toMatchObject([
      { id: 'psk', standing: true, state: 'open' },
      { id: made.id, agentId: 'vm-01', uses: 1, used: 0, state: 'open', note: 'rack 4', createdBy: 'ada' },
    ])
    expect(JSON.stringify(items)).not.toContain(made.token.split('_')[2])
  })

  test('of one use enrols exactly one of 50 agents that come at once', async () => {
    const made = await make()
    const results = await codes(Array.from({ length: 50 }, (_, i) => use(`vm-${i}`, made)))
    expect(results.filter((each) => each === 'ok')).toHaveLength(1)
    expect(results.filter((each) => each === 'FLT_ENROL_REFUSED')).toHaveLength(49)
    expect((await list())[1]).toMatchObject({ state: 'used', used: 1 })
  })

  test('of five uses enrols exactly five of 20, and its secret is gone then', async () => {
    const made = await make({ uses: 5 })
    const results = await codes(Array.from({ length: 20 }, (_, i) => use(`vm-${i}`, made)))
    expect(results.filter((each) => each === 'ok')).toHaveLength(5)
    expect((await list())[1]).toMatchObject({ state: 'used', used: 5 })
    const secrets = await fleet.store.read.selectFrom('enrolment_token_secrets').selectAll().execute()
    expect(secrets).toEqual([])
  })

  test('for one id enrols no other, and gives one id to one of 20 that come at once', async () => {
    const made = await make({ agentId: 'vm-01' })
    expect(await codes([use('vm-02', made)])).toEqual(['FLT_ENROL_REFUSED'])
    const results = await codes(Array.from({ length: 20 }, () => use('vm-01', made)))
    expect(results.filter((each) => each === 'ok')).toHaveLength(1)
  })

  test('enrols nobody after its time', async () => {
    const made = await make({ ttlSeconds: 60 })
    fleet.advance(61_000)
    expect(await codes([use('vm-01', made)])).toEqual(['FLT_ENROL_REFUSED'])
    expect((await list())[1].state).toBe('expired')
  })

  test('that was ended enrols nobody, and cannot be ended twice', async () => {
    const made = await make({ uses: 5 })
    await use('vm-01', made)
    const path = `/api/enrolment/tokens/${made.id}`
    expect((await fleet.call('DELETE', path)).status).toBe(200)
    expect(await codes([use('vm-02', made)])).toEqual(['FLT_ENROL_REFUSED'])
    expect((await list())[1]).toMatchObject({ state: 'ended', used: 1 })
    expect((await fleet.call('DELETE', path)).body.code).toBe('FLT_ENROL_TOKEN_UNKNOWN')
  })

  test('that is replaced by a newer one for the same id is worth nothing', async () => {
    const first = await make({ agentId: 'vm-01' })
    const second = await make({ agentId: 'vm-01' })
    expect(await codes([use('vm-01', first)])).toEqual(['FLT_ENROL_REFUSED'])
    expect(await codes([use('vm-01', second)])).toEqual(['ok'])
  })

  test('from before a removal does not bring the agent back', async () => {
    const made = await make({ agentId: 'vm-01' })
    await fleet.agent('vm-01')
    await fleet.call('DELETE', '/api/agents/vm-01')
    expect(await codes([use('vm-01', made)])).toEqual(['FLT_ENROL_ID_TAKEN'])
  })

  test('is not made for an id that is or was enrolled, nor for nonsense', async () => {
    await fleet.agent('vm-01')
    expect((await make({ agentId: 'vm-01' })).code).toBe('FLT_ENROL_ID_TAKEN')
    expect((await make({ agentId: "vm'; rm -rf /" })).code).toBe('FLT_HTTP_INVALID')
    expect((await make({ agentId: 'vm-02', uses: 2 })).code).toBe('FLT_HTTP_INVALID')
    expect((await make({ ttlSeconds: 3_000_000 })).code).toBe('FLT_HTTP_INVALID')
  })

  test('for a group enrols the ids that match, and no others', async () => {
    const made = await make({ group: 'web-*', uses: 5 })
    expect(await codes([use('web-1', made)])).toEqual(['ok'])
    expect(await codes([use('db-1', made)])).toEqual(['FLT_ENROL_REFUSED'])
    expect(await codes([use('xweb-1', made)])).toEqual(['FLT_ENROL_REFUSED'])
    expect((await list())[1]).toMatchObject({ group: 'web-*', used: 1 })
    expect((await make({ group: '*****' })).code).toBe('FLT_HTTP_INVALID')
    expect((await make({ group: 'web-*', agentId: 'web-9' })).code).toBe('FLT_HTTP_INVALID')
  })

  test('that stands, SERVER_PSK, is turned off and on, also over a restart', async () => {
    const path = '/api/enrolment/tokens/psk'
    const join = (id: string) => codes([enrol(fleet.url, id, { id: 'psk', text: psk })])
    expect(await join('vm-01')).toEqual(['ok'])
    expect((await list())[0]).toMatchObject({ id: 'psk', state: 'open', used: 1, uses: null })
    expect((await fleet.call('DELETE', path)).status).toBe(200)
    fleet = await fleet.restart()
    expect((await list())[0]).toMatchObject({ id: 'psk', state: 'ended' })
    expect(await join('vm-02')).toEqual(['FLT_ENROL_REFUSED'])
    expect((await fleet.call('POST', path, {})).body).toMatchObject({ state: 'open', approval: false })
    expect(await join('vm-02')).toEqual(['ok'])
  })

  test('is for admins: an operator neither makes, sees nor ends one', async () => {
    const operator = { 'x-role': 'operator' }
    const path = '/api/enrolment/tokens'
    const answers = [
      await fleet.call('POST', path, {}, operator),
      await fleet.call('GET', path, undefined, operator),
      await fleet.call('DELETE', `${path}/psk`, undefined, operator),
    ]
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403])
  })
})
