import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AptRoot } from '../apt-root/create-apt-root.ts'
import { repository } from '../repository.ts'

/** A real agent that runs inside an apt root, as root there. */
export interface AgentInRoot {
  start(): void
  kill(signal: NodeJS.Signals): Promise<void>
  output(): string
}

/** Built programs; default: those of this checkout. */
export interface AgentPrograms {
  /** Folder of the agent's main.js. */
  readonly agent: string
  /** Folder whose sub-folders are executors. */
  readonly executors: string
}

const ownPrograms: AgentPrograms = {
  agent: join(repository, 'agent/dist'),
  executors: join(repository, 'agent-plugins'),
}

/** Copies the built agent (into `target`) and all built-in executors (into `executors`). */
export function copyAgent(target: string, executors: string, programs = ownPrograms): void {
  cpSync(programs.agent, target, { recursive: true })
  for (const id of readdirSync(programs.executors)) {
    const from = join(programs.executors, id)
    const to = join(executors, id)
    mkdirSync(to, { recursive: true })
    cpSync(join(from, 'package.json'), join(to, 'package.json'))
    cpSync(join(from, 'dist'), join(to, 'dist'), { recursive: true })
  }
}

/** Installs the built agent with all built-in executors into a root, configured for a server on loopback. */
export function installAgent(
  root: AptRoot,
  settings: { id: string; url: string; psk: string; programs?: AgentPrograms },
): AgentInRoot {
  const target = join(root.directory, 'opt/fleetupdate')
  copyAgent(join(target, 'agent'), join(target, 'agent/executors'), settings.programs)
  const agent = {
    id: settings.id,
    server_url: settings.url,
    psk: settings.psk,
    state_dir: '/var/lib/orchestrator-agent',
    poll_interval: 5,
  }
  const lines = Object.entries(agent).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
  writeFileSync(join(target, 'config.yaml'), ['agent:', ...lines, ''].join('\n'), { mode: 0o600 })

  let child: ChildProcess | undefined
  let printed = ''
  return {
    start() {
      child = spawn('chroot', [root.directory, '/usr/local/bin/node', '/opt/fleetupdate/agent/main.js'], {
        env: {
          PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
          AGENT_CONFIG: '/opt/fleetupdate/config.yaml',
          NO_PROMPT: '1',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      child.stdout?.on('data', (data) => (printed += data))
      child.stderr?.on('data', (data) => (printed += data))
    },
    async kill(signal) {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    },
    output: () => printed,
  }
}
