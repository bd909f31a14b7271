import { openBundle } from '../bundle/index.ts'
import type { Answer } from './admin-api.ts'
import { cliError } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import { fetchBundle } from './fetch-bundle.ts'
import { oneLine, serverOf, serverOptions } from './manage.ts'
import { readArguments, type Terminal, type Verb } from './verb.ts'

const usage = 'fleetupdate plugin install FILE|NPM-PACKAGE --server URL [--token TOKEN] [--yes]'

/** Uploads a bundle, shows what it asks for, and installs it once a person said yes. */
export const installVerb: Verb = {
  usage,
  summary: 'Shows what a bundle asks for, then installs it on a running server.',
  async run(args, terminal) {
    const given = readArguments(usage, args, { ...serverOptions, yes: 'flag' })
    const [source, ...more] = given.positionals
    if (source === undefined || more.length > 0)
      throw cliError('FLT_CLI_USAGE', { usage, problem: 'Give one file or one npm package' })
    const api = serverOf(usage, given, terminal)
    const bytes = await fetchBundle(source, terminal)
    openBundle(bytes)
    const offer = await api('POST', '/api/admin/plugins', bytes)
    show(offer, terminal)
    if (!given.has('yes') && !(await terminal.confirm('Install it?'))) throw cliError('FLT_CLI_NOT_CONFIRMED')
    const status = await api('POST', `/api/admin/plugins/${offer.id}/confirm`, { sha256: offer.sha256 })
    terminal.print(
      status.state === 'active'
        ? `${status.id} ${status.version} is active.`
        : `${status.id} ${status.version} is installed, but ${status.state}: ${status.reason}`,
    )
    return status.state === 'failed' ? exitCodes.finding : exitCodes.done
  },
}

interface Asked {
  readonly program?: string
  readonly reason?: string
  readonly args?: readonly unknown[]
}

function show(offer: Answer, { print }: Terminal): void {
  const { keyId } = offer.publisher as { keyId?: string }
  const replaces = offer.replaces ? `, replaces ${offer.replaces}` : ''
  print(oneLine(`${offer.title} (${offer.id} ${offer.version})${replaces}`))
  print(`signed by ${keyId}, expires ${offer.expiresAt}`)
  for (const [kind, wanted] of Object.entries(offer.asksFor as Record<string, readonly unknown[]>)) {
    print(`${kind}: ${wanted.length === 0 ? 'none' : ''}`.trim())
    for (const item of wanted) print(`  ${line(item)}`)
  }
}

function line(item: unknown): string {
  const { program, reason, args = [] } = (typeof item === 'object' && item !== null ? item : {}) as Asked
  const text =
    program === undefined
      ? String(item)
      : `as root: ${program} ${args.map((arg) => JSON.stringify(arg)).join(' ')} (${reason})`
  return oneLine(text)
}
