import { cpSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { CommandView } from '@fleetupdate/sdk'
import { type AptRoot, createAptRoot } from '../../apt-root/create-apt-root.ts'
import { type AgentInRoot, installAgent } from '../../fleet/agent-in-root.ts'
import { repository } from '../../repository.ts'
import type { Lab } from '../fault.ts'
import { type Rig, type RigOptions, startRig } from '../rig.ts'

/** A fleet with one agent inside an apt root. */
export interface AptRig {
  readonly rig: Rig
  readonly root: AptRoot
  readonly agent: AgentInRoot
  /** Submits an upgrade of everything and answers its id. */
  upgrade(options?: { readonly timeoutSeconds?: number }, input?: object): Promise<string>
  finished(id: string, timeoutMs?: number): Promise<CommandView>
  installed(name: string): Promise<string>
  /** Installs the agent anew in the same place, and starts it. */
  startAgentAgain(): void
}

export const aptAgentId = 'apt-1'
const psk = 'a-secret-for-tests-0123456789'

/** A fleet whose server also has the plugins for packages. */
export function startPackageFleet(lab: Lab, options: RigOptions = {}): Promise<Rig> {
  const plugins = join(lab.folder, 'data/plugins')
  for (const id of ['apt-upgrade', 'os-updates'])
    for (const part of ['dist', 'package.json'])
      cpSync(join(repository, 'plugins', id, part), join(plugins, id, part), { recursive: true })
  return startRig(lab, options)
}

/** Starts it, with the package `fleet-demo` 1.0 installed. */
export async function startAptRig(lab: Lab): Promise<AptRig> {
  const rig = await startPackageFleet(lab)
  const root = await createAptRoot()
  lab.onEnd(() => root.dispose())
  await root.installPackage('fleet-demo', '1.0')
  const start = (): AgentInRoot => {
    const programs = { agent: lab.build.agentFolder, executors: lab.build.executors }
    const agent = installAgent(root, { id: aptAgentId, url: rig.url, psk, programs })
    lab.onEnd(() => agent.kill('SIGKILL'))
    agent.start()
    return agent
  }
  const agent = start()
  await rig.online([aptAgentId])
  let round = 0
  return {
    rig,
    root,
    agent,
    async upgrade(options = {}, input = { mode: 'all' }) {
      const key = `upgrade-${round++}`
      return (await rig.patient.submit(aptAgentId, 'apt-upgrade.run', input, key, options)).id
    },
    finished: (id, timeoutMs = 120_000) => rig.client.finished(id, timeoutMs),
    async installed(name) {
      return (await root.run(['dpkg-query', '-W', '-f', '${Status} ${Version}', name])).stdout
    },
    startAgentAgain: () => void start(),
  }
}

/** A process that runs inside a root now. */
export interface RootProcess {
  readonly pid: number
  readonly parent: number
  readonly name: string
  readonly commandLine: string
}

/** What runs in a root, recognised by the root folder of the process. */
export async function processesIn(root: Pick<AptRoot, 'directory'>): Promise<readonly RootProcess[]> {
  const found: RootProcess[] = []
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    if ((await readlink(`/proc/${pid}/root`).catch(() => '')) !== root.directory) continue
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()
    const commandLine = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
      .replaceAll('\0', ' ')
      .trim()
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    const parent = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0)
    // A zombie is no process any more.
    if (commandLine !== '') found.push({ pid: Number(pid), parent, name, commandLine })
  }
  return found
}

/**
 * What attempts left running: runners and what is below them, and every process that lost its parent. Not what the agent itself runs beside them:
 * after each command its facts ask apt, which starts helpers of its own for some milliseconds [m].
 */
export async function leftoversIn(root: Pick<AptRoot, 'directory'>): Promise<readonly RootProcess[]> {
  const running = await processesIn(root)
  const byPid = new Map(running.map((one) => [one.pid, one]))
  const belongsToAgent = ({ commandLine, parent }: RootProcess): boolean => {
    if (commandLine.includes('agent/main.js')) return !commandLine.includes(' attempt ')
    const above = byPid.get(parent)
    return above !== undefined && belongsToAgent(above)
  }
  return running.filter((one) => !belongsToAgent(one))
}
