import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startTestFleet, type TestFleet } from './testing/test-fleet.ts'
import { signedPost, WireAgent } from './testing/wire-agent.ts'

let fleet: TestFleet
let agents: WireAgent[] = []
beforeEach(async () => {
  fleet = await startTestFleet()
})
afterEach(async () => {
  for (const agent of agents) agent.terminate()
  agents = []
  await fleet.dispose()
})

/** An agent that keeps tickets. */
async function enrolled(id: string): Promise<WireAgent> {
  const agent = await fleet.agent(id)
  agent.ticket = ''
  return agent
}
/** All that an agent has on its disk, on another machine. */
function copyOf(agent: WireAgent): WireAgent {
  const copy = new WireAgent(fleet.url, agent.identity)
  copy.ticket = agent.ticket
  agents.push(copy)
  return copy
}
/** It ends its session and comes back. */
async function comeBack(agent: WireAgent): Promise<void> {
  const closed = agent.closed()
  agent.close()
  await closed
  await agent.join()
}
const view = async (id: string) => (await fleet.call('GET', `/api/agents/${id}`)).body
const refusal = async (agent: WireAgent) => {
  const answer = await signedPost(agent.identity, `${fleet.url}/api/agent/poll`, {
    boot: '',
    wait: 0,
    frames: [],
  })
  return (answer.body as { code: string }).code
}

describe('session tickets', () => {
  test('change with each session, and an agent that comes back is let in, also over restarts of both', async () => {
    const agent = await enrolled('vm-01')
    const seen = new Set<string>()
    for (let i = 0; i < 3; i++) {
      await agent.join({ bootId: `boot-${i}` })
      seen.add(agent.ticket ?? '')
      agent.close()
    }
    fleet = await fleet.restart()
    const again = copyOf(agent)
    const moved = new WireAgent(fleet.url, again.identity)
    moved.ticket = again.ticket
    agents.push(moved)
    await moved.join()
    expect(seen.size).toBe(3)
    expect(await view('vm-01')).toMatchObject({ status: 'online' })
    expect((await view('vm-01')).quarantine).toBeUndefined()
  })

  test('that were given but not confirmed do no harm: the agent died before, or right after it stored one', async () => {
    const agent = await enrolled('vm-01')
    await agent.join()
    const before = agent.ticket ?? ''
    const closed = agent.closed()
    agent.close()
    await closed
    agent.confirms = false
    const given = agent.next('ticket')
    await agent.connect()
    await given
    const stored = agent.ticket ?? ''
    agent.confirms = true
    agent.ticket = before
    await comeBack(agent)
    expect(stored).not.toBe(before)
    expect((await view('vm-01')).quarantine).toBeUndefined()
  })

  test('are accepted where they are newer than the server: it was restored from a backup', async () => {
    const agent = await enrolled('vm-01')
    await agent.join()
    const { ticket, ticketNonce } = await fleet.store.read
      .selectFrom('agent_sessions')
      .select(['ticket', 'ticketNonce'])
      .where('agentId', '=', 'vm-01')
      .executeTakeFirstOrThrow()
    for (let i = 0; i < 3; i++) await comeBack(agent)
    await fleet.store.write([
      fleet.store.read.updateTable('agent_sessions').set({ ticket, ticketNonce }).compile(),
    ])
    await comeBack(agent)
    expect((await view('vm-01')).quarantine).toBeUndefined()
  })

  test('are not asked of an agent that knows none', async () => {
    const agent = await fleet.agent('vm-01')
    await agent.join()
    await comeBack(agent)
    expect((await view('vm-01')).quarantine).toBeUndefined()
  })

  test('let nothing else of an agent count before they are confirmed', async () => {
    const agent = await enrolled('vm-01')
    agent.confirms = false
    const given = agent.next('ticket')
    await agent.connect()
    const ticket = await given
    agent.send({
      type: 'facts',
      items: [
        { plugin: 'wire', fact: 'settled', value: 1, observedAt: new Date().toISOString(), revision: 1 },
      ],
    })
    agent.send({ type: 'ping' })
    await agent.next('pong')
    expect(await view('vm-01')).toMatchObject({ status: 'offline', facts: {} })
    const acked = agent.next('ack')
    agent.send(ticket)
    expect(await acked).toMatchObject({ facts: 1 })
    expect(await view('vm-01')).toMatchObject({ status: 'online', facts: { wire: { settled: 1 } } })
  })
})

describe('a copied agent', () => {
  test('is noticed when both machines have connected, and neither is offered anything any more', async () => {
    const original = await enrolled('vm-01')
    await original.join({ bootId: 'boot-a' })
    const copy = copyOf(original)
    const replaced = original.closed()
    await copy.join({ bootId: 'boot-b' })
    expect(await replaced).toBe(4409)
    const quarantined = fleet.event('agent.quarantined')
    const closed = copy.closed()
    await original.connect({ bootId: 'boot-a' })
    expect((await quarantined).reason).toContain('boot-a')
    expect(await closed).toBe(4410)
    const shown = await view('vm-01')
    expect(shown.status).toBe('offline')
    expect(shown.quarantine.reason).toMatch(/boot-b/)
    expect(await refusal(original)).toBe('FLT_AGENT_QUARANTINED')
    expect(await refusal(copy)).toBe('FLT_AGENT_QUARANTINED')
    const { body } = await fleet.call('POST', '/api/agents/vm-01/wire/free', {})
    expect(body.state).toBe('queued')
    const audit = await fleet.store.read.selectFrom('audit_log').select('action').execute()
    expect(audit.map(({ action }) => action)).toContain('agent.quarantined')
    expect((await fleet.call('GET', '/api/agents?filter=quarantined')).body.items).toHaveLength(1)
  })

  test('stays in quarantine over a restart of the server', async () => {
    const original = await enrolled('vm-01')
    await original.join()
    const copy = copyOf(original)
    await comeBack(original)
    const quarantined = fleet.event('agent.quarantined')
    await copy.connect()
    await quarantined
    fleet = await fleet.restart()
    expect((await view('vm-01')).quarantine.reason).toContain('snapshot')
    const again = new WireAgent(fleet.url, original.identity)
    expect(await refusal(again)).toBe('FLT_AGENT_QUARANTINED')
  })

  test.each([
    ['without its ticket file', ''],
    ['of a version that knows no tickets', undefined],
    ['with a ticket of its own making', `9.${'A'.repeat(22)}.${'A'.repeat(43)}`],
  ])('%s is noticed at once', async (_, ticket) => {
    const original = await enrolled('vm-01')
    await original.join()
    const copy = copyOf(original)
    copy.ticket = ticket
    const quarantined = fleet.event('agent.quarantined')
    await copy.connect()
    await quarantined
    expect((await view('vm-01')).quarantine).toBeDefined()
  })

  test('over polls is noticed the same way', async () => {
    const original = await enrolled('vm-01')
    await original.join()
    const old = original.ticket
    await comeBack(original)
    const url = `${fleet.url}/api/agent/poll`
    const post = async (body: object) =>
      (await signedPost(original.identity, url, body)).body as never as Poll
    interface Poll {
      details: { boot: string }
      frames: { type: string; session: string; ticket: string }[]
    }
    const { boot } = (await post({ boot: '', wait: 0, frames: [] })).details
    const hello = { type: 'hello', protocol: 1, agentVersion: '1', bootId: 'b', executors: [], attempts: [] }
    const { frames } = await post({ boot, wait: 0, frames: [{ ...hello, ticket: old }] })
    const session = frames.find(({ type }) => type === 'welcome')?.session
    const ticket = frames.find(({ type }) => type === 'ticket')?.ticket
    const quarantined = fleet.event('agent.quarantined')
    await post({ boot, wait: 0, session, frames: [{ type: 'ticket', ticket }] })
    await quarantined
  })
})

describe('the end of a quarantine', () => {
  async function quarantinedAgent(): Promise<WireAgent> {
    const agent = await enrolled('vm-01')
    await agent.join()
    const snapshot = copyOf(agent)
    await comeBack(agent)
    agent.close()
    const quarantined = fleet.event('agent.quarantined')
    await snapshot.connect()
    await quarantined
    return snapshot
  }

  test('for a restored snapshot lets the one machine in, and would notice a second one again', async () => {
    const snapshot = await quarantinedAgent()
    const copy = copyOf(snapshot)
    const gone = snapshot.closed()
    snapshot.close()
    await gone
    const answer = await fleet.call('POST', '/api/agents/vm-01/release', { way: 'restored' })
    expect(answer.body).toEqual({ id: 'vm-01', way: 'restored' })
    await snapshot.join()
    expect((await view('vm-01')).status).toBe('online')
    const quarantined = fleet.event('agent.quarantined')
    await copy.connect()
    await quarantined
  })

  test('by reset gives an invitation, and the old identity is worth nothing', async () => {
    const snapshot = await quarantinedAgent()
    const { body } = await fleet.call('POST', '/api/agents/vm-01/release', {})
    expect(body).toMatchObject({ id: 'vm-01', way: 'reset' })
    expect(body.command).toContain(body.token)
    expect(await refusal(snapshot)).toBe('FLT_AGENT_REVOKED')
    expect((await view('vm-01')).quarantine).toBeUndefined()
  })

  test('is for admins, and for agents that are in quarantine', async () => {
    await enrolled('vm-02')
    const path = '/api/agents/vm-02/release'
    expect((await fleet.call('POST', path, {})).body.code).toBe('FLT_AGENT_NOT_QUARANTINED')
    expect((await fleet.call('POST', path, { way: 'restored' })).body.code).toBe('FLT_AGENT_NOT_QUARANTINED')
    expect((await fleet.call('POST', path, {}, { 'x-role': 'operator' })).status).toBe(403)
    expect((await fleet.call('POST', '/api/agents/none/release', {})).status).toBe(404)
  })
})
