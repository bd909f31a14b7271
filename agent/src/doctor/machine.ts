import { readdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type CheckedIn, readCheckedIn } from '../checked-in.ts'
import type { AgentConfig } from '../config.ts'
import { describeError, errorCode } from '../errors.ts'
import type { ExecutorHost } from '../executor-host.ts'
import { readPolicy } from '../privilege/policy-file.ts'
import type { PrivilegedWay } from '../privilege/privilege.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

const megabyte = 1024 * 1024

/** The state folder: whose it is, that all in it is the agent's own, and room. */
export async function checkState({ stateDir }: AgentConfig, uid: number): Promise<readonly Finding[]> {
  const fix = `sudo chown -R orchestrator:orchestrator ${stateDir} && sudo chmod 700 ${stateDir}`
  try {
    const { mode, uid: owner } = await stat(stateDir)
    const strangers = await ownedByOthers(stateDir, owner)
    const findings: Finding[] = []
    if (owner !== uid)
      findings.push(bad('state', `${stateDir} belongs to user ${owner}, not to the agent's`, fix))
    else if (strangers.length > 0)
      findings.push(bad('state', `${strangers[0]} belongs to another user, as after a run as root`, fix))
    else if ((mode & 0o077) !== 0)
      findings.push(warn('state', `${stateDir} can be read by others`, `sudo chmod 700 ${stateDir}`))
    else findings.push(ok('state', `${stateDir} is the agent's alone`))
    return [...findings, await checkRoom(stateDir)]
  } catch (error) {
    return [bad('state', `${stateDir} cannot be used (${errorCode(error)})`, fix)]
  }
}

async function ownedByOthers(folder: string, owner: number): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true })
  const paths = names.slice(0, 5000).map((name) => join(folder, name))
  const found = await Promise.all(
    paths.map(async (path) => ((await stat(path).catch(() => undefined))?.uid ?? owner) !== owner),
  )
  return paths.filter((_, index) => found[index])
}

async function checkRoom(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder)
  const free = Math.floor((bavail * bsize) / megabyte)
  const says = `${free} MB free at ${folder}`
  if (free < 50)
    return bad('disk', says, 'Free some space: results and output are kept here until the server has them.')
  return free < 500 ? warn('disk', says, 'Free some space before the next upgrade.') : ok('disk', says)
}

/** When the running agent was last let in by its server. */
export async function checkLastContact({ stateDir }: AgentConfig): Promise<readonly Finding[]> {
  const last: CheckedIn | undefined = await readCheckedIn(stateDir)
  if (!last)
    return [
      warn('contact', 'the agent has not reached its server yet', 'systemctl status orchestrator-agent'),
    ]
  return [ok('contact', `version ${last.version} was let in at ${last.at}`)]
}

export async function checkPolicy({ file }: AgentConfig, uid: number): Promise<readonly Finding[]> {
  const folder = dirname(file)
  try {
    const { mode, stopped } = await readPolicy(folder, folder.startsWith('/etc/') ? [0] : [0, uid])
    if (stopped)
      return [
        warn(
          'policy',
          'the kill switch is on: nothing starts here',
          `sudo rm ${join(folder, 'kill-switch')}`,
        ),
      ]
    return [ok('policy', `mode ${mode}`)]
  } catch (error) {
    return [
      bad(
        'policy',
        `${describeError(error)}; until then nothing starts here`,
        `Correct ${join(folder, 'policy.yaml')}.`,
      ),
    ]
  }
}

export function checkExecutors({ all }: ExecutorHost): readonly Finding[] {
  const failed = all.filter(({ reason }) => reason !== undefined)
  if (all.length === 0)
    return [bad('executors', 'there is none', 'Install the agent anew, or correct agent.executors.')]
  if (failed.length === 0)
    return [ok('executors', `${all.length} loaded: ${all.map(({ id }) => id).join(', ')}`)]
  return failed.map(({ id, reason }) =>
    bad('executors', `${id}: ${reason}`, 'Install that executor anew, or remove its folder.'),
  )
}

/** The way to root, then each privilege. A program that is not installed here is no fault of the agent's. */
export async function checkPrivileges(
  way: PrivilegedWay,
  { privileges }: ExecutorHost,
): Promise<readonly Finding[]> {
  const states = await way.probe(privileges)
  const missing = states.filter(({ ok: works }) => !works)
  const says = `through ${way.kind}: ${states.length - missing.length} of ${states.length} work`
  if (missing.length === 0) return [ok('privileges', says)]
  // Often one line would help all of them: it is said once.
  const byCause = new Map<string, string[]>()
  for (const { plugin, id, missing: what = 'It cannot be told why it does not work.' } of missing)
    byCause.set(what, [...(byCause.get(what) ?? []), `${plugin}.${id}`])
  return [...byCause].map(([cause, names]) => warn('privileges', `${says}; not ${names.join(', ')}`, cause))
}
