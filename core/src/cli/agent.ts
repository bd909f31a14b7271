import { type Static, Type } from 'typebox'
import { isAgentId } from '../agents/token-routes.ts'
import { fleetError } from '../errors.ts'
import { requestVerbs } from './agent-requests.ts'
import { answerOf, columns } from './answers.ts'
import { apiOptions, withApi } from './api.ts'
import { wholeNumber } from './numbers.ts'
import type { Call, Noun, Operand, Verb } from './verb.ts'

const Agent = Type.Object({
  id: Type.String(),
  status: Type.String(),
  lastSeenAt: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  agentVersion: Type.Optional(Type.Union([Type.String(), Type.Null()])),
})
const readPage = answerOf(
  Type.Object({ items: Type.Array(Agent), nextCursor: Type.Union([Type.String(), Type.Null()]) }),
)
const readAgent = answerOf(Agent)
const readInvitation = answerOf(
  Type.Object({ token: Type.String(), expiresAt: Type.String(), command: Type.String() }),
)
const readReset = answerOf(Type.Object({ id: Type.String(), token: Type.String(), expiresAt: Type.String() }))
const readReleased = answerOf(Type.Object({ command: Type.String() }))
const id: Operand = { name: 'ID', summary: 'the id of the agent: letters, digits, dot, dash, underscore' }
const yes = { yes: { summary: 'Do not ask' } }

const list: Verb = {
  summary: 'List the machines of the fleet',
  options: {
    filter: { value: 'FILTER', summary: 'outdated, offline, or a facet such as os-updates.security' },
    search: { value: 'TEXT', summary: 'Only ids that hold this text' },
    limit: { value: 'N', summary: 'At most so many; default all' },
    ...apiOptions,
  },
  examples: ['', '--filter outdated', '--filter offline --json'],
  run: (call) =>
    withApi(call, async (api) => {
      const most = wholeNumber(call, 'limit', { least: 1, most: 1_000_000 }) ?? Number.POSITIVE_INFINITY
      const items: Static<typeof Agent>[] = []
      const query = new URLSearchParams({ limit: '500' })
      for (const [option, key] of [
        ['filter', 'filter'],
        ['search', 'q'],
      ] as const) {
        const text = call.text(option)
        if (text !== undefined) query.set(key, text)
      }
      for (;;) {
        const page = readPage(await api.get(`/api/agents?${query}`))
        items.push(...page.items)
        if (page.nextCursor === null || items.length >= most) break
        query.set('cursor', page.nextCursor)
      }
      const shown = items.slice(0, most)
      const rows = shown.map((each) => [
        each.id,
        each.status,
        each.agentVersion ?? '',
        each.lastSeenAt ?? 'never',
      ])
      return { lines: columns(['ID', 'STATUS', 'VERSION', 'LAST SEEN'], rows), json: { items: shown } }
    }),
}

const show: Verb = {
  summary: 'Show one machine with its facts',
  operands: [id],
  options: apiOptions,
  examples: ['vm-01', 'vm-01 --json'],
  run: (call) =>
    withApi(call, async (api) => {
      const answer = await api.get(pathOf(call))
      const agent = readAgent(answer)
      const lines = [
        `${agent.id} is ${agent.status}, last seen ${agent.lastSeenAt ?? 'never'}.`,
        ...JSON.stringify(answer, null, 2).split('\n'),
      ]
      return { lines, json: answer }
    }),
}

const invite: Verb = {
  summary: 'Make the line to paste on a new machine',
  details: ['The line works once, for this id alone.'],
  operands: [id],
  options: { hours: { value: 'N', summary: 'How long it works, 1 to 720; default 1' }, ...apiOptions },
  examples: ['vm-01', 'vm-01 --hours 24'],
  run: (call) =>
    withApi(call, async (api) => {
      const agentId = checkedId(call)
      const ttlSeconds = (wholeNumber(call, 'hours', { least: 1, most: 720 }) ?? 1) * 3600
      const made = readInvitation(await api.send('POST', '/api/enrolment/tokens', { agentId, ttlSeconds }))
      const isGuess = call.text('server') === undefined && call.config().publicUrls.length === 0
      const lines = [
        `Paste this line on ${agentId}; it works once, until ${made.expiresAt}:`,
        '',
        `  ${made.command}`,
        ...(isGuess
          ? ['', 'PUBLIC_URL is not set: correct the address of this server where it is wrong.']
          : []),
      ]
      return { lines, json: { agentId, ...made } }
    }),
}

const reset: Verb = {
  summary: 'End the identity of a machine, and make a token with which it alone can enrol again',
  details: ['For a machine that was installed anew, or whose key may be known to others.'],
  operands: [id],
  options: { ...yes, ...apiOptions },
  examples: ['vm-01', 'vm-01 --yes --json'],
  async run(call) {
    await insist(call, `End the identity of "${checkedId(call)}"? It must enrol again.`)
    return withApi(call, async (api) => {
      const made = readReset(await api.send('POST', `${pathOf(call)}/reset`))
      const lines = [
        `${made.id} can enrol again until ${made.expiresAt}, with agent.psk set to:`,
        '',
        `  ${made.token}`,
      ]
      return { lines, json: made }
    })
  },
}

const remove: Verb = {
  summary: 'Remove a machine: its identity ends, its channels close, its id stays taken',
  operands: [id],
  options: { ...yes, ...apiOptions },
  examples: ['vm-01', 'vm-01 --yes'],
  async run(call) {
    await insist(call, `Remove "${checkedId(call)}" from the fleet?`)
    return withApi(call, async (api) => {
      const json = await api.send('DELETE', pathOf(call))
      return { lines: [`${call.operand('ID')} was removed.`], json }
    })
  },
}

const rotate: Verb = {
  summary: 'Give a machine a new key now; it gets one by itself every KEY_ROTATION_DAYS',
  details: [
    'The old key is good until the new one was used. A machine that is away gets its key when it is back.',
  ],
  operands: [id],
  options: apiOptions,
  examples: ['vm-01'],
  run: (call) =>
    withApi(call, async (api) => {
      const json = await api.send('POST', `${pathOf(call)}/keys/rotate`)
      return { lines: [`${checkedId(call)} gets a new key as soon as it is connected.`], json }
    }),
}

const release: Verb = {
  summary: 'End the quarantine of a machine whose identity seemed to be copied',
  details: [
    'By default its identity ends, and one machine gets a new one with the line that is printed.',
    'With --restored the identity stays: say so only where one machine alone exists, whose snapshot was restored.',
  ],
  operands: [id],
  options: {
    restored: { summary: 'There is one machine alone, whose snapshot was restored' },
    ...yes,
    ...apiOptions,
  },
  examples: ['vm-01', 'vm-01 --restored'],
  async run(call) {
    const way = call.has('restored') ? 'restored' : 'reset'
    await insist(call, `Release "${checkedId(call)}" from quarantine?`)
    return withApi(call, async (api) => {
      const json = await api.send('POST', `${pathOf(call)}/release`, { way })
      if (way === 'restored') return { lines: [`${checkedId(call)} is let in again.`], json }
      const { command } = readReleased(json)
      return { lines: ['Paste this line on the machine that is to stay:', '', `  ${command}`], json }
    })
  },
}

/** The machines of the fleet. */
export const agentNoun: Noun = {
  summary: 'The machines of the fleet',
  verbs: { list, show, invite, ...requestVerbs, reset, rotate, release, remove },
}

function pathOf(call: Call): string {
  return `/api/agents/${encodeURIComponent(checkedId(call))}`
}

function checkedId(call: Call): string {
  const agentId = call.operand('ID')
  if (isAgentId(agentId)) return agentId
  throw fleetError('FLT_CLI_AGENT_ID', { id: agentId.slice(0, 100) })
}

async function insist(call: Call, question: string): Promise<void> {
  if (!call.has('yes') && !(await call.world.confirm(question))) throw fleetError('FLT_CLI_NOT_CONFIRMED')
}
