import type { Log } from '@fleetupdate/sdk'
import { loadBuiltIns } from '../built-in-executors.ts'
import { type AgentConfig, type Environment, readConfig } from '../config.ts'
import { describeError } from '../errors.ts'
import { createExecutorHost } from '../executor-host.ts'
import { createIdentityStore, type Identity } from '../identity.ts'
import type { PrivilegedWay } from '../privilege/privilege.ts'
import { bad, type Finding, ok, warn } from './finding.ts'
import { checkLink } from './link.ts'
import { checkExecutors, checkLastContact, checkPolicy, checkPrivileges, checkState } from './machine.ts'

export interface DoctorOptions {
  readonly env: Environment
  /** Of the user that looks. */
  readonly uid: number
  readonly version: string
  /** Folders of the executors that came with the agent. */
  readonly builtIn: readonly string[]
  readonly node: { readonly version: string; readonly path: string }
  way(config: AgentConfig): PrivilegedWay
}

/** Looks at everything an agent needs, without touching the one that runs, and says what to fix. */
export async function examine(options: DoctorOptions): Promise<readonly Finding[]> {
  const { node, uid, version } = options
  const findings: Finding[] = [ok('agent', `version ${version} on Node ${node.version} (${node.path})`)]
  let config: AgentConfig
  try {
    config = await readConfig(options.env)
  } catch (error) {
    return [...findings, bad('config', describeError(error), 'Correct it, then run this again.')]
  }
  findings.push(ok('config', config.file))
  for (const warning of config.warnings)
    findings.push(warn('config', warning, 'Remove it, or correct its name.'))
  findings.push(...(await checkState(config, uid)))
  const { identity, finding } = await readIdentity(config)
  findings.push(finding)
  findings.push(...(await checkLink(config, identity)))
  findings.push(...(await checkLastContact(config)))
  const executors = createExecutorHost(await loadBuiltIns(options.builtIn, silent), silent)
  findings.push(...checkExecutors(executors))
  findings.push(...(await checkPrivileges(options.way(config), executors)))
  findings.push(...(await checkPolicy(config, uid)))
  return findings
}

async function readIdentity(config: AgentConfig): Promise<{ identity?: Identity; finding: Finding }> {
  try {
    const identity = await createIdentityStore(config.stateDir).load()
    if (!identity) {
      const fix = 'Take a line from the dashboard ("Add an agent"), or set agent.psk and restart the agent.'
      return { finding: bad('identity', 'this machine is not enrolled', fix) }
    }
    if (config.id !== undefined && config.id !== identity.agentId) {
      const says = `enrolled as "${identity.agentId}", but agent.id says "${config.id}"`
      return {
        identity,
        finding: bad('identity', says, 'Set agent.id back, or enrol anew: fleetupdate-agent enroll'),
      }
    }
    return { identity, finding: ok('identity', `enrolled as "${identity.agentId}"`) }
  } catch (error) {
    return {
      finding: bad('identity', describeError(error), 'Restore the file, or reset the agent and enrol anew.'),
    }
  }
}

const nothing = (): void => undefined
const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
