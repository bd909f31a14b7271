import type { ReleaseState } from '@fleetupdate/plugin-agent-update/contract'
import type { ExecutorContext } from '@fleetupdate/sdk/executor'
import { get } from './fetch.ts'

/** What a release says about itself; the rest of the statement is root's business. */
export interface Offered {
  readonly version: string
  readonly counter: number
  readonly archive: { readonly name: string; readonly sha256: string }
  readonly json: Buffer
}

const programs = '/opt/orchestrator/agent/current'
const previous = '/opt/orchestrator/agent/previous'
const checkedIn = '/var/lib/orchestrator-agent/checked-in.json'
const statementBytes = 64 * 1024

/** Collects the fact `release`: files of this machine, and one small question to the server. */
export async function collectRelease(context: ExecutorContext): Promise<ReleaseState> {
  const installed = ((await context.readFile(`${programs}/VERSION`)) ?? '').trim().slice(0, 64)
  const own = parse(await context.readFile(`${programs}/release.json`))
  const hindrance = await hindranceOf(context)
  const offered = hindrance === null ? await rememberedOffer(context) : undefined
  const counter = typeof own?.counter === 'number' ? own.counter : 0
  return {
    installed: installed === '' ? 'from a checkout' : installed,
    offered: offered?.version ?? null,
    newer: offered ? offered.version !== installed && offered.counter >= counter : null,
    hindrance,
    before: (await versionBefore(context))?.version ?? null,
    last: lastOf(parse(await context.readFile('/var/lib/orchestrator-helper/update-outcome.json'))),
  }
}

/** The release that ran before this one and still stands here, as root's updater would take it again. */
export async function versionBefore({
  readFile,
}: ExecutorContext): Promise<{ version: string; archive: string } | undefined> {
  const own = (await readFile(`${programs}/VERSION`))?.trim()
  const version = (await readFile(`${previous}/VERSION`))?.trim().slice(0, 64)
  const { archive } = parse(await readFile(`${previous}/release.json`)) ?? {}
  if (version === undefined || version === '' || version === own || !isArchive(archive)) return undefined
  return { version, archive: archive.sha256 }
}

const keptMs = 3_600_000
let remembered: { offer: Offered | undefined; contact: string; atMs: number } | undefined

/** A server's release changes only with the server, and then the agent had to be let in anew: else it is not asked again for an hour. */
async function rememberedOffer(context: ExecutorContext): Promise<Offered | undefined> {
  const contact = (await context.readFile(checkedIn)) ?? ''
  const isFresh = remembered && remembered.contact === contact && performance.now() - remembered.atMs < keptMs
  if (remembered?.offer && isFresh) return remembered.offer
  const offer = await readOffered(context).catch(() => undefined)
  remembered = { offer, contact, atMs: performance.now() }
  return offer
}

/** Why an update cannot work here; null where nothing speaks against it. */
export async function hindranceOf({ exists }: ExecutorContext): Promise<string | null> {
  if (!(await exists(`${programs}/agent-updater`)))
    return 'This agent was not installed by the installer. Update it where it came from.'
  if (!(await exists('/run/systemd/system'))) return 'Updates need systemd, which starts the agent anew.'
  return null
}

/** The release that the server hands out. */
export async function readOffered(context: ExecutorContext): Promise<Offered> {
  const json = await get(await serverOf(context), 'release.json', {
    limit: statementBytes,
    signal: context.signal,
  })
  const value = parse(json.toString('utf8'))
  const { version, counter, archive } = value ?? {}
  if (typeof version !== 'string' || typeof counter !== 'number' || !isArchive(archive))
    throw new Error('The server hands out no release that this agent understands.')
  return { version: version.slice(0, 64), counter, archive, json }
}

export interface Server {
  readonly url: string
  /** PEM of the authorities that its certificate may be of; absent: the usual ones. */
  readonly ca?: string
}

/** Where the agent was let in. */
export async function serverOf({ readFile }: ExecutorContext): Promise<Server> {
  const { serverUrl, ca } = parse(await readFile(checkedIn)) ?? {}
  if (typeof serverUrl !== 'string' || !/^https?:\/\/[^/?#@\s]+(\/[\w.~-]+)*$/.test(serverUrl))
    throw new Error('This agent has not reached its server yet.')
  return { url: serverUrl, ...(typeof ca === 'string' ? { ca } : {}) }
}

export function parse(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** What root wrote about the last update. */
export function lastOf(value: Readonly<Record<string, unknown>> | undefined): ReleaseState['last'] {
  if (!value) return null
  const { from, to, result, at, reason } = value
  if (typeof from !== 'string' || typeof to !== 'string' || typeof at !== 'string') return null
  if (result !== 'updated' && result !== 'rolled-back' && result !== 'refused') return null
  return { from, to, result, at, ...(typeof reason === 'string' ? { reason: reason.slice(0, 4000) } : {}) }
}

function isArchive(value: unknown): value is Offered['archive'] {
  if (!isRecord(value)) return false
  const { name, sha256 } = value
  return (
    typeof name === 'string' &&
    /^agent-[0-9a-f]{64}\.tar\.gz$/.test(name) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256)
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
