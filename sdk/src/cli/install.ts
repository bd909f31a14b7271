import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { openBundle } from '../bundle/index.ts'
import { cliError } from './errors.ts'
import { readArguments, type Terminal, type Verb } from './verb.ts'

const usage = 'fleetupdate plugin install FILE --server URL [--token TOKEN] [--yes]'

/** Uploads a bundle, shows what it asks for, and installs it once a person said yes. The token may also come as FLEET_TOKEN. */
export const installVerb: Verb = {
  usage,
  summary: 'Shows what a bundle asks for, then installs it on a running server.',
  async run(args, terminal) {
    const given = readArguments(usage, args, { server: 'text', token: 'text', yes: 'flag' })
    const [file, ...more] = given.positionals
    const server = given.text('server')
    const token = given.text('token') ?? terminal.env.FLEET_TOKEN
    if (file === undefined || more.length > 0 || server === undefined || token === undefined)
      throw cliError('FLT_CLI_USAGE', { usage, problem: 'Give one file, the server and a token' })
    const bytes = await readFile(resolve(terminal.cwd, file))
    openBundle(bytes)
    const api = createApi(server, token)
    const offer = await api('/api/admin/plugins', 'application/vnd.fleetupdate.bundle', bytes)
    show(offer, terminal)
    if (!given.has('yes') && !(await terminal.confirm('Install it?'))) throw cliError('FLT_CLI_NOT_CONFIRMED')
    const body = JSON.stringify({ sha256: offer.sha256 })
    const status = await api(`/api/admin/plugins/${offer.id}/confirm`, 'application/json', body)
    terminal.print(
      status.state === 'active'
        ? `${status.id} ${status.version} is active.`
        : `${status.id} ${status.version} is installed, but ${status.state}: ${status.reason}`,
    )
    return status.state === 'active' ? 0 : 1
  },
}

type Answer = Readonly<Record<string, unknown>>

function createApi(server: string, token: string) {
  return async (path: string, type: string, body: Buffer | string): Promise<Answer> => {
    const response = await fetch(new URL(path, server), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': type },
      body: typeof body === 'string' ? body : new Uint8Array(body),
    }).catch((error: unknown) => {
      throw cliError('FLT_CLI_SERVER', { server, status: 'nothing', problem: String(error) })
    })
    const answer = (await response.json().catch(() => ({}))) as Answer
    if (response.ok) return answer
    const problem = `${answer.code ?? ''} ${answer.message ?? ''}`.trim()
    throw cliError('FLT_CLI_SERVER', { server, status: response.status, problem })
  }
}

interface Asked {
  readonly program?: string
  readonly reason?: string
  readonly args?: readonly unknown[]
}

function show(offer: Answer, { print }: Terminal): void {
  const { keyId } = offer.publisher as { keyId?: string }
  print(
    `${offer.title} (${offer.id} ${offer.version})${offer.replaces ? `, replaces ${offer.replaces}` : ''}`,
  )
  print(`signed by ${keyId}, expires ${offer.expiresAt}`)
  for (const [kind, wanted] of Object.entries(offer.asksFor as Record<string, readonly unknown[]>)) {
    print(`${kind}: ${wanted.length === 0 ? 'none' : ''}`.trim())
    for (const item of wanted) print(`  ${line(item)}`)
  }
}

/** One line, whatever the server answered. */
function line(item: unknown): string {
  const { program, reason, args = [] } = (typeof item === 'object' && item !== null ? item : {}) as Asked
  const text =
    program === undefined
      ? String(item)
      : `as root: ${program} ${args.map((arg) => JSON.stringify(arg)).join(' ')} (${reason})`
  return text.replace(/[\p{Cc}\p{Cf}]/gu, ' ')
}
