import { createAdmission } from '@fleetupdate/core/src/agents/admission.ts'
import { createExecutorSets } from '@fleetupdate/core/src/agents/executor-sets.ts'
import { createFactHooks } from '@fleetupdate/core/src/agents/fact-hooks.ts'
import { createFacts } from '@fleetupdate/core/src/agents/facts.ts'
import { createFleetIndex } from '@fleetupdate/core/src/agents/fleet-index.ts'
import { createInbound } from '@fleetupdate/core/src/agents/gateway/inbound.ts'
import { agentMigrations } from '@fleetupdate/core/src/agents/migrations.ts'
import { createPresence } from '@fleetupdate/core/src/agents/presence.ts'
import type { AgentSession } from '@fleetupdate/core/src/agents/session.ts'
import { createTickets } from '@fleetupdate/core/src/agents/tickets.ts'
import { createAudit } from '@fleetupdate/core/src/audit/create-audit.ts'
import { auditMigrations } from '@fleetupdate/core/src/audit/migrations.ts'
import { commandMigrations } from '@fleetupdate/core/src/commands/migrations.ts'
import { createOutputHook } from '@fleetupdate/core/src/commands/output-hook.ts'
import { type CommandQueue, createCommandQueue } from '@fleetupdate/core/src/commands/queue.ts'
import { createEventBus } from '@fleetupdate/core/src/events/bus.ts'
import { compileContract } from '@fleetupdate/core/src/plugins/compile-contract.ts'
import { createContracts } from '@fleetupdate/core/src/plugins/contracts.ts'
import { createStore } from '@fleetupdate/core/src/store/create-store.ts'
import type { Store } from '@fleetupdate/core/src/store/store.ts'
import type { OutputChunk } from '@fleetupdate/sdk'
import { defineContract, Type } from '@fleetupdate/sdk'
import type { AgentFrame, ServerFrame } from '@fleetupdate/sdk/protocol'

const work = { input: Type.Object({ lines: Type.Integer() }, { additionalProperties: false }) }

/** The two commands of the model: with a lane and without. */
export const modelContract = defineContract('model', {
  commands: {
    free: { ...work, cancel: 'safe-point' },
    serial: { ...work, lane: 'model', cancel: 'safe-point' },
  },
})

/** The server's queue, presence and inbox on a real store, for one agent; the store outlives it. */
export interface ServerSide {
  readonly queue: CommandQueue
  /** Takes hello in, or says that this session is not to be. */
  open(session: AgentSession, hello: AgentFrame): Promise<boolean>
  receive(session: AgentSession, frame: AgentFrame): void
  stop(): Promise<void>
}

/** What survives a restart of the server. */
export interface ServerDisk {
  readonly store: Store
  /** What the output's store holds, by command. */
  readonly output: Map<string, { text: string; end: number }>
  /** Writes on their way to the disk. */
  readonly writing: () => number
  close(): Promise<void>
}

export async function openServerDisk(dir: string, workerFile: URL): Promise<ServerDisk> {
  let writing = 0
  const store = await createStore({
    dir,
    workerFile,
    migrations: [agentMigrations, commandMigrations, auditMigrations],
    onFatal: (error) => {
      throw error
    },
  })
  const write: Store['write'] = async (statements) => {
    writing++
    try {
      return await store.write(statements)
    } finally {
      writing--
    }
  }
  return { store: { ...store, write }, output: new Map(), writing: () => writing, close: () => store.close() }
}

/** Starts a server process's worth of queue on a disk. */
export async function startServerSide(
  disk: ServerDisk,
  agentId: string,
  instance: number,
): Promise<ServerSide> {
  const { store } = disk
  const problems: string[] = []
  const note = (message: string): void => void problems.push(message)
  const log = { debug: note, info: note, warn: note, error: note }
  const index = createFleetIndex()
  index.put({
    id: agentId,
    generation: 1,
    enrolledAt: Date.now(),
    revoked: false,
    quarantine: undefined,
    online: false,
    lastSeenMs: null,
    facets: {},
  })
  const bus = createEventBus((error) => note(String(error)))
  const contracts = createContracts(() => undefined)
  contracts.add(compileContract(modelContract))
  const hook = createOutputHook()
  hook.provide({
    append: async (chunks) => appendOutput(disk.output, chunks),
    end: async (commandId) => disk.output.get(commandId)?.end ?? 0,
  })
  const now = (): number => Date.now()
  const executors = createExecutorSets()
  const presence = createPresence({ store, index, bus, log, instanceId: `model-${instance}`, executors, now })
  const { sessionOf, silentMs } = presence
  const audit = await createAudit({ store, masterKey: Buffer.alloc(32, 7), checkpoints: undefined, log })
  const shared = { store, index, contracts, bus, log, now, keepMs: 90 * 86_400_000 }
  const queue = await createCommandQueue({ ...shared, hook, audit, sessionOf, silentMs })
  const facts = createFacts({ store, index, contracts, hooks: createFactHooks(log), bus })
  const admission = createAdmission({
    ...{ presence, log, quarantine: { put: async (_id, reason) => note(reason) } },
    tickets: createTickets(store, Buffer.alloc(32, 7)),
    keyUsed: () => [],
    live: queue.frames.hello,
  })
  const commands = queue.frames
  const rekey = async (): Promise<void> => undefined
  const inbound = createInbound({ store, presence, facts, commands, admission, rekey, log })
  return {
    queue,
    open: async (session, hello) =>
      hello.type === 'hello' && (await inbound.hello(session, hello)) === 'live',
    receive(session, frame) {
      presence.heard(session)
      if (frame.type === 'ping') session.send({ type: 'pong' })
      else void inbound.receive(session, [frame])
    },
    async stop() {
      queue.dispose()
      await presence.dispose()
      await audit.dispose()
    },
  }
}

export type { AgentSession, ServerFrame }

function appendOutput(output: ServerDisk['output'], chunks: readonly OutputChunk[]): void {
  for (const { commandId, offset, end, text } of chunks) {
    const stored = output.get(commandId) ?? { text: '', end: 0 }
    // The contract of an output store: chunks come in order, and of one that overlaps only the rest is taken.
    if (offset > stored.end) throw new Error(`A gap in the output of ${commandId}.`)
    const rest = Buffer.from(text)
      .subarray(stored.end - offset)
      .toString()
    output.set(commandId, { text: stored.text + rest, end })
  }
}
