import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startAgent } from './load/agent.ts'
import type { Child } from './load/child.ts'
import { buildLines } from './load/lines-plugin.ts'
import { type Server, startServer } from './load/server.ts'
import { SimFleet } from './load/sim-fleet.ts'
import type { Figure } from './table.ts'

/** One figure, or a few that are measured together. */
export interface Measure {
  readonly name: string
  measure(stage: Stage): Promise<readonly Figure[]>
}

/** What figures share, started when the first asks for it: one server, simulated agents, one real agent with the capability `lines`. */
export interface Stage {
  readonly dir: string
  /** Size of the large fleet. */
  readonly agents: number
  server(): Promise<Server>
  sims(): Promise<SimFleet>
  agent(): Promise<{ readonly id: string; readonly process: Child }>
  /** Undone at the end of the run. */
  defer(undo: () => unknown): void
  dispose(): Promise<void>
}

const agentId = 'real'

export function createStage(agents: number): Stage {
  const dir = mkdtempSync(join(tmpdir(), 'fleet-bench-'))
  const undos: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 })]
  const defer = (undo: () => unknown): void => void undos.push(undo)
  const plugins = once(async () => {
    const folder = await buildLines()
    defer(() => rmSync(folder, { recursive: true, force: true }))
    return folder
  })
  const server = once(async () => {
    const started = await startServer(join(dir, 'server'), [await plugins()])
    defer(() => started.process.stop())
    return started
  })
  const sims = once(async () => {
    const fleet = new SimFleet(await server())
    defer(() => fleet.close())
    return fleet
  })
  const agent = once(async () => {
    // As if `lines` came with the agent: what is measured is the way of output, not the isolation of strangers.
    const program = join(dir, 'agent-program')
    cpSync(join(process.cwd(), 'agent/dist'), program, { recursive: true })
    const executors = [join(program, 'executors')]
    cpSync(await plugins(), join(program, 'executors'), { recursive: true })
    const options = { id: agentId, dir: join(dir, 'agents'), executors, entry: join(program, 'main.js') }
    const started = await startAgent(await server(), options)
    defer(() => started.stop())
    return { id: agentId, process: started }
  })
  return {
    dir,
    agents,
    server,
    sims,
    agent,
    defer,
    async dispose() {
      for (const undo of undos.reverse()) await undo()
    },
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
