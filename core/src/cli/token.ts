import { Type } from 'typebox'
import { answerOf, columns } from './answers.ts'
import { apiOptions, withApi } from './api.ts'
import { wholeNumber } from './numbers.ts'
import type { Noun, Verb } from './verb.ts'

const Token = Type.Object({
  id: Type.String(),
  user: Type.String(),
  name: Type.String(),
  role: Type.String(),
  expiresAt: Type.String(),
  state: Type.String(),
})
const readTokens = answerOf(Type.Object({ items: Type.Array(Token) }))
const readMade = answerOf(
  Type.Object({ id: Type.String(), token: Type.String(), role: Type.String(), expiresAt: Type.String() }),
)

const list: Verb = {
  summary: 'List the API tokens of everybody, without their secrets',
  options: apiOptions,
  examples: ['', '--json'],
  run: (call) =>
    withApi(call, async (api) => {
      const { items } = readTokens(await api.get('/api/tokens'))
      const rows = items.map((each) => [each.id, each.state, each.user, each.role, each.expiresAt, each.name])
      return { lines: columns(['ID', 'STATE', 'USER', 'ROLE', 'UNTIL', 'NAME'], rows), json: { items } }
    }),
}

const create: Verb = {
  summary: 'Make an API token for a program, and print it once',
  details: ['It acts for a person, and never may more than that person.'],
  operands: [{ name: 'NAME', summary: 'what it is for' }],
  options: {
    user: {
      value: 'NAME',
      summary: 'The person it acts for; needed on this machine, with --server it is you',
    },
    role: { value: 'ROLE', choices: ['viewer', 'operator', 'admin'], summary: 'Default viewer' },
    days: { value: 'N', summary: 'How long it is good for, 1 to 366; default 90' },
    ...apiOptions,
  },
  examples: ['nightly-report --user maria', 'deploy --user maria --role operator --days 30 --json'],
  run: (call) =>
    withApi(call, async (api) => {
      const user = call.text('user')
      const terms = {
        name: call.operand('NAME'),
        role: call.text('role') ?? 'viewer',
        days: wholeNumber(call, 'days', { least: 1, most: 366 }) ?? 90,
        ...(user === undefined ? {} : { user }),
      }
      const made = readMade(await api.send('POST', '/api/tokens', terms))
      return { lines: [`Good until ${made.expiresAt}, shown this once:`, '', `  ${made.token}`], json: made }
    }),
}

const end: Verb = {
  summary: 'End an API token; everything that was opened with it closes',
  operands: [{ name: 'ID', summary: 'see: fleetupdate token list' }],
  options: apiOptions,
  examples: ['0123456789abcdef'],
  run: (call) =>
    withApi(call, async (api) => {
      const id = call.operand('ID')
      await api.send('DELETE', `/api/tokens/${encodeURIComponent(id)}`)
      return { lines: [`The token ${id} has ended.`], json: { id } }
    }),
}

/** API tokens for programs. */
export const tokenNoun: Noun = { summary: 'API tokens for programs', verbs: { list, create, end } }
