import { Type } from 'typebox'
import { readablePassword } from '../auth/readable-password.ts'
import { fleetError } from '../errors.ts'
import { answerOf, columns } from './answers.ts'
import { apiOptions, withApi } from './api.ts'
import type { Api } from './api-client.ts'
import type { Call, Noun, Operand, Option, Outcome, Verb } from './verb.ts'

const User = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role: Type.String(),
  createdAt: Type.String(),
})
const readUsers = answerOf(Type.Object({ items: Type.Array(User) }))
const roles = ['viewer', 'operator', 'admin'] as const
const name: Operand = { name: 'NAME', summary: 'the name the person logs in with' }
const generate: Option = { summary: 'Make a password and print it, instead of asking for one' }
const aboutPasswords =
  'The password is asked for, or read as the first line of standard input; at least 10 characters.'

const list: Verb = {
  summary: 'List everybody who can log in',
  options: apiOptions,
  examples: ['', '--json'],
  run: (call) =>
    withApi(call, async (api) => {
      const { items } = readUsers(await api.get('/api/users'))
      const rows = items.map((user) => [user.name, user.role, user.createdAt])
      return { lines: columns(['NAME', 'ROLE', 'SINCE'], rows), json: { items } }
    }),
}

const add: Verb = {
  summary: 'Add a person',
  details: [aboutPasswords],
  operands: [name],
  options: {
    role: { value: 'ROLE', choices: roles, summary: 'What the person may do; default viewer' },
    generate,
    ...apiOptions,
  },
  examples: ['maria --role operator --generate', 'maria < password.txt'],
  async run(call) {
    const { password, shown } = await choosePassword(call)
    return withApi(call, async (api) => {
      const terms = { name: call.operand('NAME'), role: call.text('role') ?? 'viewer', password }
      await api.send('POST', '/api/users', terms)
      return done(`${terms.name} can log in as ${terms.role}.`, shown, { name: terms.name, role: terms.role })
    })
  },
}

const role: Verb = {
  summary: 'Give a person another role; all sessions of that person end',
  operands: [name, { name: 'ROLE', summary: roles.join(', ') }],
  options: apiOptions,
  examples: ['maria admin'],
  run: (call) =>
    withApi(call, async (api) => {
      const user = await find(api, call)
      await api.send('PATCH', `/api/users/${user.id}`, { role: call.operand('ROLE') })
      return done(`${user.name} is ${call.operand('ROLE')} now.`, undefined, {
        name: user.name,
        role: call.operand('ROLE'),
      })
    }),
}

const password: Verb = {
  summary: 'Give a person another password; all sessions of that person end',
  details: [aboutPasswords, 'This is also the way back in for an admin who forgot the own one.'],
  operands: [name],
  options: { generate, ...apiOptions },
  examples: ['maria', 'admin --generate'],
  async run(call) {
    const { password, shown } = await choosePassword(call)
    return withApi(call, async (api) => {
      const user = await find(api, call)
      await api.send('PATCH', `/api/users/${user.id}`, { password })
      return done(`${user.name} has a new password.`, shown, { name: user.name })
    })
  },
}

const remove: Verb = {
  summary: 'Remove a person, with all sessions and API tokens; the last admin stays',
  operands: [name],
  options: apiOptions,
  examples: ['maria'],
  run: (call) =>
    withApi(call, async (api) => {
      const user = await find(api, call)
      await api.send('DELETE', `/api/users/${user.id}`)
      return done(`${user.name} was removed.`, undefined, { name: user.name })
    }),
}

const resetSecondFactor: Verb = {
  summary:
    "Take away a person's second factor, whose app and codes are lost; all sessions of that person end",
  operands: [name],
  options: apiOptions,
  examples: ['maria'],
  run: (call) =>
    withApi(call, async (api) => {
      const user = await find(api, call)
      await api.send('DELETE', `/api/users/${user.id}/second-factor`)
      return done(`${user.name} logs in with the password alone now.`, undefined, { name: user.name })
    }),
}

/** People who can log in. */
export const userNoun: Noun = {
  summary: 'People who can log in',
  verbs: { list, add, role, password, remove, 'reset-second-factor': resetSecondFactor },
}

async function find(api: Api, call: Call): Promise<{ readonly id: string; readonly name: string }> {
  const wanted = call.operand('NAME')
  const { items } = readUsers(await api.get('/api/users'))
  const user = items.find((each) => each.name === wanted)
  if (!user) throw fleetError('FLT_USER_UNKNOWN', { id: wanted.slice(0, 128) })
  return user
}

async function choosePassword(call: Call): Promise<{ password: string; shown?: string }> {
  if (call.has('generate')) {
    const made = readablePassword()
    return { password: made, shown: made }
  }
  const given = await call.world.askSecret('New password: ')
  if (given === undefined || given.length < 10) throw fleetError('FLT_CLI_PASSWORD')
  return { password: given }
}

function done(sentence: string, shown: string | undefined, json: object): Outcome {
  if (shown === undefined) return { lines: [sentence], json }
  return { lines: [sentence, `Password, shown this once:  ${shown}`], json: { ...json, password: shown } }
}
