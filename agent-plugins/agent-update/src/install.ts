import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { CommandContext } from '@fleetupdate/sdk/executor'
import { get, sha256 } from './fetch.ts'
import { hindranceOf, lastOf, parse, readOffered, serverOf, versionBefore } from './state.ts'

const incoming = '/var/lib/orchestrator-agent/update'
const outcomeFile = '/var/lib/orchestrator-helper/update-outcome.json'
const archiveBytes = 20 * 1024 * 1024
/** Two minutes of trial, two restarts, and some air. */
const patienceMs = 240_000
const lookMs = 500

/**
 * Fetches the release and has it tried. This attempt is a process of its own: it outlives the agent that started it, and tells how the trial
 * ended through whichever agent runs then.
 */
export async function install(
  { version }: { readonly version?: string },
  context: CommandContext,
): Promise<{ from: string; to: string }> {
  await expectAble(context)
  context.progress({ percent: 5, message: 'Fetching the release' })
  const offered = await readOffered(context)
  if (version !== undefined && version !== offered.version)
    context.fail(`The server hands out ${offered.version} by now, not ${version}.`)
  const installed = await installedVersion(context)
  if (installed === offered.version) return { from: installed, to: installed }
  await fetchRelease(offered, context)
  return tried({ from: installed, to: offered.version, id: offered.archive.sha256 }, context)
}

/** Has the release tried again that ran before the one that runs now. */
export async function back(
  { from }: { readonly from?: string },
  context: CommandContext,
): Promise<{ from: string; to: string }> {
  await expectAble(context)
  const installed = await installedVersion(context)
  if (from !== undefined && from !== installed) return { from: installed, to: installed }
  const before = await versionBefore(context)
  if (!before)
    return context.fail(
      `No version stands beside ${installed} on this machine. To go back, run the line of a server with the older release, with --allow-older.`,
    )
  return tried({ from: installed, to: before.version, id: before.archive }, context)
}

async function expectAble(context: CommandContext): Promise<void> {
  const hindrance = await hindranceOf(context)
  if (hindrance !== null) context.fail(hindrance)
}

async function installedVersion({ readFile }: CommandContext): Promise<string> {
  return ((await readFile('/opt/orchestrator/agent/current/VERSION')) ?? '').trim()
}

interface Trial {
  readonly from: string
  readonly to: string
  /** SHA-256 of the release's archive. */
  readonly id: string
}

async function tried(
  { from, to, id }: Trial,
  context: CommandContext,
): Promise<{ from: string; to: string }> {
  context.checkpoint()
  context.write(`Trying ${to}; ${from} comes back if the server does not let it in.\n`)
  context.progress({ percent: 30, message: `Trying ${to}` })
  // A refusal is an exit code too; what it says stands in the outcome.
  await context.run('/usr/bin/systemctl', ['start', `orchestrator-agent-update@${id}.service`], {
    okCodes: [0, 1],
    onAbort: 'never',
  })
  const outcome = await waitForOutcome(id, context)
  await rm(incoming, { recursive: true, force: true })
  if (outcome.result === 'updated') return { from: outcome.from, to: outcome.to }
  const reason = outcome.reason ?? 'no reason was given'
  return outcome.result === 'refused'
    ? context.fail(`The release was refused on this machine: ${reason}.`)
    : context.fail(`Back to ${outcome.from}: ${reason}`)
}

async function fetchRelease(
  { archive, json }: Awaited<ReturnType<typeof readOffered>>,
  context: CommandContext,
): Promise<void> {
  const server = await serverOf(context)
  const { signal } = context
  const signature = await get(server, 'release.sig', { limit: 1024, signal })
  const bytes = await get(server, `files/${archive.name}`, { limit: archiveBytes, signal })
  if (sha256(bytes) !== archive.sha256) context.fail('The archive did not arrive whole. Try again.')
  await rm(incoming, { recursive: true, force: true })
  await mkdir(incoming, { mode: 0o700 })
  await writeFile(join(incoming, 'release.json'), json)
  await writeFile(join(incoming, 'release.sig'), signature)
  await writeFile(join(incoming, 'agent.tar.gz'), bytes)
  context.write(`Fetched ${archive.name} (${bytes.length} bytes).\n`)
}

async function waitForOutcome(
  id: string,
  context: CommandContext,
): Promise<NonNullable<ReturnType<typeof lastOf>>> {
  const until = performance.now() + patienceMs
  while (performance.now() < until) {
    const value = parse(await context.readFile(outcomeFile))
    const outcome = value?.id === id ? lastOf(value) : null
    if (outcome) return outcome
    await pause(lookMs)
  }
  return context.fail(
    'Nothing was heard of the trial. On the machine: journalctl -u "orchestrator-agent-update*"',
  )
}
