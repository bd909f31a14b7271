import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { LiveSocket } from './load/live-socket.ts'
import { describeMachine } from './machine.ts'
import { slopePerHour } from './slope.ts'
import { createStage } from './stage.ts'
import { mebibytes } from './table.ts'
import { writeBetweenMarks } from './write-docs.ts'

/**
 * 2,000 agents for half an hour, with facts and metrics of all of them each minute, a batch each minute, commands with output and their
 * viewers without a pause: the memory of server and agent, the size of the files, and every error. The first tenth warms up.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    agents: { type: 'string', default: '2000' },
    docs: { type: 'boolean' },
  },
})
const [minutes, agents] = [Number(values.minutes), Number(values.agents)]
const machine = describeMachine()
const stage = createStage(agents)
const errors: string[] = []
const samples: {
  readonly atMs: number
  readonly server: number
  readonly agent: number
  readonly disk: number
}[] = []
let commands = 0
let lines = 0
try {
  const server = await stage.server()
  const sims = await stage.sims()
  const real = await stage.agent()
  await sims.connect(agents)
  const ids = await sims.enrol(agents)
  const live = await LiveSocket.open(server)
  const began = performance.now()
  const endsAt = began + minutes * 60_000
  const isOver = (): boolean => performance.now() >= endsAt
  const note = (what: string) => (error: unknown) => void errors.push(`${what}: ${String(error)}`)

  const viewers = async (): Promise<void> => {
    while (!isOver()) {
      const command = await server.client.submit(real.id, 'lines.print', { count: 2000 })
      await live.watchOutput(command.id, ({ text = '' }) => {
        for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++
      })
      commands++
    }
  }
  const facts = async (): Promise<void> => {
    for (let round = 1; !isOver(); round++) {
      const next = performance.now() + 60_000
      await sims.tell(round)
      await pause(Math.max(0, Math.min(next, endsAt) - performance.now()))
    }
  }
  const batches = async (): Promise<void> => {
    while (!isOver()) {
      const next = performance.now() + 60_000
      const offered = sims.acceptOffers()
      const { status, body } = await server.client.request<{ batch: { id: string } }>(
        'POST',
        '/api/commands',
        {
          ...{ command: 'lines.print', input: { count: 1 } },
          targets: { agents: ids },
        },
      )
      if (status !== 202) throw new Error(`a batch was answered ${status}`)
      await offered
      await sims.succeed()
      await server.client.until('a batch to end', async () => {
        const answer = await server.client.request<{ counts: Record<string, number> }>(
          'GET',
          `/api/batches/${body.batch.id}`,
        )
        return answer.body.counts.succeeded === ids.length
      })
      commands += ids.length
      await pause(Math.max(0, Math.min(next, endsAt) - performance.now()))
    }
  }
  const watch = async (): Promise<void> => {
    while (!isOver()) {
      await pause(Math.min(10_000, Math.max(0, endsAt - performance.now())))
      samples.push({
        atMs: performance.now() - began,
        server: server.process.memory(),
        agent: real.process.memory(),
        disk: sizeOf(join(stage.dir, 'server')),
      })
      const { server: memory, disk } = samples.at(-1) ?? { server: 0, disk: 0 }
      if (samples.length % 6 === 0)
        console.log(
          `  ${Math.round((performance.now() - began) / 60_000)} min: server ${mebibytes(memory)}, files ${mebibytes(disk)}, ${commands} commands, ${lines} lines, ${errors.length} errors`,
        )
    }
  }
  await Promise.all([
    viewers().catch(note('a command')),
    facts().catch(note('facts')),
    batches().catch(note('a batch')),
    watch(),
  ])
  live.close()
} finally {
  await stage.dispose()
}
const settled = samples.filter(({ atMs }) => atMs > minutes * 6_000)
const [serverSlope, agentSlope] = [slopePerHour(settled, 'server'), slopePerHour(settled, 'agent')]
const last = samples.at(-1) ?? { server: 0, agent: 0, disk: 0 }
const text = [
  `${minutes} minutes, ${agents.toLocaleString('en-US')} agents: ${commands.toLocaleString('en-US')} commands, ${lines.toLocaleString('en-US')} lines watched, **${errors.length} errors**.`,
  `Server memory ${span('server')}, slope ${mebibytes(serverSlope)} an hour; a real agent's ${span('agent')}, slope ${mebibytes(agentSlope)} an hour. Files ${mebibytes(last.disk)}: output and history are kept for their time.`,
  machine,
].join('\n\n')
console.log(`\n${text}`)
for (const error of errors.slice(0, 20)) console.error(error)
writeFileSync(join(process.cwd(), 'node_modules/.cache/bench/soak.json'), JSON.stringify(samples))
if (values.docs) writeBetweenMarks('docs/performance.md', 'soak', text)
process.exit(errors.length > 0 ? 1 : 0)

/** Memory swings with the collector: what it comes down to tells whether it grows. */
function span(key: 'server' | 'agent'): string {
  const third = Math.ceil(settled.length / 3)
  const [first, final] = [settled.slice(0, third), settled.slice(-third)].map((part) =>
    Math.min(...part.map((sample) => sample[key])),
  )
  return `at its lowest ${mebibytes(first ?? Number.NaN)} in the first third and ${mebibytes(final ?? Number.NaN)} in the last, at the end ${mebibytes(last[key])}`
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce(
    (sum, entry) =>
      sum +
      (entry.isDirectory() ? sizeOf(join(folder, entry.name)) : statSync(join(folder, entry.name)).size),
    0,
  )
}
