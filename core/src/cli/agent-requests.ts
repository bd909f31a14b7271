import { Type } from 'typebox'
import { fleetError } from '../errors.ts'
import { answerOf, columns } from './answers.ts'
import { apiOptions, withApi } from './api.ts'
import type { Api } from './api-client.ts'
import type { Call, Operand, Verb } from './verb.ts'

const Request = Type.Object({
  id: Type.String(),
  agentId: Type.String(),
  state: Type.String(),
  address: Type.String(),
  createdAt: Type.String(),
  expiresAt: Type.String(),
})
const readRequests = answerOf(Type.Object({ items: Type.Array(Request) }))
const id: Operand = { name: 'ID', summary: 'the id of the agent that waits' }

const waiting: Verb = {
  summary: 'List the machines that wait until an admin lets them in',
  options: apiOptions,
  examples: ['', '--json'],
  run: (call) =>
    withApi(call, async (api) => {
      const items = await openRequests(api)
      const rows = items.map(({ agentId, address, createdAt, expiresAt }) => [
        ...[agentId, address, createdAt, expiresAt],
      ])
      const table = columns(['AGENT', 'FROM', 'SINCE', 'UNTIL'], rows)
      return { lines: items.length === 0 ? ['No machine waits.'] : table, json: { items } }
    }),
}

const approve: Verb = {
  summary: 'Let a machine in that waits; it notices within seconds',
  operands: [id],
  options: apiOptions,
  examples: ['vm-01'],
  run: (call) => decide(call, 'approve', 'is let in'),
}

const refuse: Verb = {
  summary: 'Refuse a machine that waits; the use of its token stays used',
  operands: [id],
  options: apiOptions,
  examples: ['vm-01'],
  run: (call) => decide(call, 'refuse', 'was refused'),
}

/** What an admin decides about machines that enrol. */
export const requestVerbs = { waiting, approve, refuse }

async function openRequests(api: Api) {
  const { items } = readRequests(await api.get('/api/enrolment/requests'))
  return items.filter(({ state }) => state === 'waiting')
}

function decide(call: Call, verb: 'approve' | 'refuse', done: string) {
  return withApi(call, async (api) => {
    const agentId = call.operand('ID')
    const found = (await openRequests(api)).find((one) => one.agentId === agentId)
    if (!found) throw fleetError('FLT_ENROL_REQUEST_UNKNOWN', { id: agentId.slice(0, 64) })
    const json = await api.send('POST', `/api/enrolment/requests/${encodeURIComponent(found.id)}/${verb}`)
    return { lines: [`${agentId} ${done}.`], json }
  })
}
