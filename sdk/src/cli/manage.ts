import { type AdminApi, createAdminApi } from './admin-api.ts'
import { cliError } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import { type Arguments, readArguments, type Terminal, type Verb } from './verb.ts'

/** The options of every verb that speaks to a running server. */
export const serverOptions = { server: 'text', token: 'text' } as const

/** The server that `--server` and `--token` (or FLEET_SERVER and FLEET_TOKEN) name. Throws FLT_CLI_USAGE. */
export function serverOf(usage: string, given: Arguments, { env }: Terminal): AdminApi {
  const server = given.text('server') ?? env.FLEET_SERVER
  const token = given.text('token') ?? env.FLEET_TOKEN
  if (server !== undefined && token !== undefined && URL.canParse(server))
    return createAdminApi(server, token)
  throw cliError('FLT_CLI_USAGE', {
    usage,
    problem: 'Give the address of the server and a token of an admin (or set FLEET_SERVER and FLEET_TOKEN)',
  })
}

/** Lists what a running server has, each with its state. */
export const listVerb: Verb = {
  usage: 'fleetupdate plugin list --server URL [--token TOKEN]',
  summary: 'Lists the plugins of a running server.',
  async run(args, terminal) {
    const given = readArguments(this.usage, args, serverOptions)
    const { items } = await serverOf(this.usage, given, terminal)('GET', '/api/admin/plugins')
    for (const item of items as readonly Readonly<Record<string, unknown>>[])
      terminal.print(
        oneLine(
          `${item.id} ${item.version}  ${item.state}${item.reason === undefined ? '' : `: ${item.reason}`}  (${item.origin})`,
        ),
      )
    return 0
  },
}

export const enableVerb = changeVerb('enable', 'Starts a plugin of a running server, now and at every start.')
export const disableVerb = changeVerb(
  'disable',
  'Stops a plugin of a running server until it is enabled again.',
)
export const removeVerb = changeVerb(
  'remove',
  'Stops an installed plugin and deletes its files; its database stays.',
)

function changeVerb(change: 'enable' | 'disable' | 'remove', summary: string): Verb {
  const usage = `fleetupdate plugin ${change} ID --server URL [--token TOKEN]`
  return {
    usage,
    summary,
    async run(args, terminal) {
      const given = readArguments(usage, args, serverOptions)
      const [id, ...more] = given.positionals
      if (id === undefined || more.length > 0)
        throw cliError('FLT_CLI_USAGE', { usage, problem: 'Give one id' })
      const api = serverOf(usage, given, terminal)
      const path = `/api/admin/plugins/${encodeURIComponent(id)}`
      if (change === 'remove') {
        await api('DELETE', path)
        terminal.print(`${id} is removed.`)
        return 0
      }
      const { state, reason } = await api('POST', `${path}/${change}`)
      const wanted = change === 'enable' ? 'active' : 'disabled'
      terminal.print(oneLine(`${id} is ${state}${state === wanted || !reason ? '' : `: ${reason}`}.`))
      return state === 'failed' ? exitCodes.finding : exitCodes.done
    },
  }
}

/** One line, whatever the server answered. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, ' ')
}
