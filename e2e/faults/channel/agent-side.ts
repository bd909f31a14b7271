import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { claimAttempt, readCancel, readRequest, writeEnding } from '@fleetupdate/agent/src/attempts.ts'
import { createServerClock } from '@fleetupdate/agent/src/clock.ts'
import { createDispatcher } from '@fleetupdate/agent/src/dispatcher.ts'
import type { HostedExecutor } from '@fleetupdate/agent/src/executor-host.ts'
import { openJournal } from '@fleetupdate/agent/src/journal.ts'
import { createPolicy } from '@fleetupdate/agent/src/policy.ts'
import type { RunnerStart } from '@fleetupdate/agent/src/runner-start.ts'
import type { AgentFrame, ServerFrame } from '@fleetupdate/sdk/protocol'
import { modelContract } from './server-side.ts'

/** A runner apart from the agent: it goes on when the agent dies, one step when it is told. */
export interface ModelRunner {
  readonly commandId: string
  /** Writes one line, or ends; false where it has ended. */
  step(): Promise<boolean>
}

/** What the machine remembers, whatever dies. */
export interface Machine {
  readonly stateDir: string
  readonly runners: ModelRunner[]
  /** Command ids in the order in which they really started. */
  readonly starts: string[]
  /** How each really ended, and what it wrote. */
  readonly endings: Map<string, { readonly state: 'succeeded' | 'cancelled'; readonly text: string }>
}

/** The agent's journal, dispatcher and supervisors on a real folder. */
export interface AgentSide {
  hello(): AgentFrame
  opened(serverTime: string): void
  receive(frame: ServerFrame): void
  /** As kill -9: nothing leaves it any more, nothing more is started. */
  kill(): Promise<void>
}

const hosted: HostedExecutor = {
  id: 'model',
  folder: '/nonexistent',
  version: '1',
  contractHash: '0123456789abcdef',
  manifest: { id: 'model', sdk: '1' },
  executor: { contract: modelContract, facts: {}, commands: {} },
  contract: modelContract,
  reason: undefined,
  trust: 'built-in',
}

/** Starts an agent process's worth of journal and dispatcher; `send` answers whether a session is open. */
export async function startAgentSide(
  machine: Machine,
  channel: { isOpen(): boolean; send(frame: AgentFrame): void },
): Promise<AgentSide> {
  let alive = true
  const silent = (): void => undefined
  const clock = createServerClock()
  const journal = await openJournal(machine.stateDir, { error: () => undefined })
  const dispatcher = createDispatcher({
    journal,
    executors: { find: (id) => (id === 'model' ? hosted : undefined) },
    executorFolders: [],
    configFile: '/nowhere/config.yaml',
    // No policy file stands there: everything may start.
    policy: createPolicy(join(machine.stateDir, 'config.yaml'), { uid: process.getuid?.() ?? 0 }),
    way: 'none',
    clock,
    outbox: {
      get online() {
        return alive && channel.isOpen()
      },
      send(frame) {
        if (alive) channel.send(frame)
      },
    },
    startRunner(start) {
      if (alive) void launch(machine, start)
    },
    commandEnded: silent,
    log: { debug: silent, info: silent, warn: silent, error: silent },
  })
  await dispatcher.recover()
  return {
    hello: () => ({
      type: 'hello',
      protocol: 1,
      agentVersion: '0.0.0-model',
      bootId: 'boot',
      executors: [],
      attempts: dispatcher.attempts(),
    }),
    opened(serverTime) {
      clock.sync(serverTime)
      dispatcher.opened()
    },
    receive(frame) {
      if (alive) dispatcher.received(frame)
    },
    async kill() {
      alive = false
      await dispatcher.close()
    },
  }
}

/** As a runner's process does: claims the attempt, or finds it taken. */
async function launch(machine: Machine, { commandId, folder }: RunnerStart): Promise<void> {
  if (!(await claimAttempt(folder, process.pid))) return
  const request = await readRequest(folder)
  if (!request) throw new Error('The request of an accepted attempt is damaged.')
  machine.starts.push(commandId)
  const { lines } = request.input as { lines: number }
  let written = 0
  let text = `$ model.${request.command}\n`
  const end = async (state: 'succeeded' | 'cancelled'): Promise<void> => {
    machine.endings.set(commandId, { state, text })
    const at = new Date(Date.now()).toISOString()
    await writeEnding(folder, { state, startedAt: request.startedAt, finishedAt: at })
  }
  let ended = false
  machine.runners.push({
    commandId,
    async step() {
      if (ended) return false
      if ((await readCancel(folder)) !== undefined) {
        ended = true
        await end('cancelled')
      } else if (written === lines) {
        ended = true
        await end('succeeded')
      } else {
        written++
        const line = `line ${written} of ${commandId} ✓\n`
        text += line
        await appendFile(folder.output, line)
      }
      return !ended
    },
  })
}
