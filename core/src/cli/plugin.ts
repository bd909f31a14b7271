import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { openBundle } from '@fleetupdate/sdk/bundle'
import { Type } from 'typebox'
import { fleetError } from '../errors.ts'
import { answerOf, columns } from './answers.ts'
import { apiOptions, withApi } from './api.ts'
import { authorVerbs } from './author-tools.ts'
import { describeOffer, readOffer } from './plugin-offer.ts'
import { exitCodes, type Noun, type Operand, type Outcome, type Verb } from './verb.ts'

const Status = Type.Object({
  id: Type.String(),
  version: Type.String(),
  state: Type.String(),
  reason: Type.Optional(Type.String()),
  origin: Type.Optional(Type.String()),
})
const readStatus = answerOf(Status)
const readAll = answerOf(Type.Object({ items: Type.Array(Status) }))
const id: Operand = { name: 'ID', summary: 'the id of the plugin; see: fleetupdate plugin list' }

const list: Verb = {
  summary: 'List all plugins with their state',
  options: apiOptions,
  examples: ['', '--json'],
  run: (call) =>
    withApi(call, async (api) => {
      const answer = await api.get('/api/admin/plugins')
      const rows = readAll(answer).items.map((each) => [
        each.id,
        each.version,
        each.origin ?? '',
        each.reason === undefined ? each.state : `${each.state}: ${each.reason}`,
      ])
      return { lines: columns(['ID', 'VERSION', 'ORIGIN', 'STATE'], rows), json: answer }
    }),
}

const install: Verb = {
  summary: 'Show what a bundle asks for, then install it',
  details: ['Nothing of it runs before you said yes. Install those you trust as much as the server itself.'],
  operands: [{ name: 'FILE', summary: 'a signed bundle: ID-VERSION.fleetplugin' }],
  options: { yes: { summary: 'Do not ask' }, ...apiOptions },
  examples: ['disk-health-1.2.0.fleetplugin', 'disk-health-1.2.0.fleetplugin --yes --json'],
  async run(call) {
    const { world } = call
    const bytes = await readBundle(resolve(world.cwd, call.operand('FILE')))
    openBundle(bytes)
    return withApi(call, async (api) => {
      const offer = readOffer(
        await api.upload('/api/admin/plugins', 'application/vnd.fleetupdate.bundle', bytes),
      )
      for (const line of describeOffer(offer)) world.note(line)
      if (!call.has('yes') && !(await world.confirm('Install it?'))) throw fleetError('FLT_CLI_NOT_CONFIRMED')
      const { id: plugin, sha256 } = offer
      const path = `/api/admin/plugins/${encodeURIComponent(plugin)}/confirm`
      return outcome(await api.send('POST', path, { sha256 }), 'is installed')
    })
  },
}

const remove: Verb = {
  summary: 'Stop an installed plugin and delete its files; its database stays',
  operands: [id],
  options: apiOptions,
  examples: ['disk-health'],
  run: (call) =>
    withApi(call, async (api) => {
      const plugin = call.operand('ID')
      await api.send('DELETE', `/api/admin/plugins/${encodeURIComponent(plugin)}`)
      return { lines: [`${plugin} was removed.`], json: { id: plugin } }
    }),
}

/** What the server can do, and the tools of those who write plugins. */
export const pluginNoun: Noun = {
  summary: 'What the server can do; and the tools for writing plugins',
  verbs: {
    list,
    install,
    enable: turn('enable', 'Start a plugin, now and at every start of the server'),
    disable: turn('disable', 'Stop a plugin until it is enabled again'),
    remove,
  },
  elsewhere: authorVerbs,
}

function turn(word: 'enable' | 'disable', summary: string): Verb {
  return {
    summary,
    operands: [id],
    options: apiOptions,
    examples: ['disk-health'],
    run: (call) =>
      withApi(call, async (api) => {
        const path = `/api/admin/plugins/${encodeURIComponent(call.operand('ID'))}/${word}`
        return outcome(await api.send('POST', path), `was ${word}d`)
      }),
  }
}

/** A plugin that is there but did not start is a finding. */
function outcome(answer: unknown, what: string): Outcome {
  const { id: plugin, version, state, reason } = readStatus(answer)
  const isFine = state !== 'failed'
  return {
    lines: [`${plugin} ${version} ${what}: ${state}${reason === undefined ? '' : `, ${reason}`}.`],
    json: answer,
    exitCode: isFine ? exitCodes.done : exitCodes.finding,
  }
}

async function readBundle(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw fleetError('FLT_CLI_FILE', { path, problem }, { cause })
  }
}
