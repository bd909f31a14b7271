import { LiveSocket } from '../load/live-socket.ts'
import { createStage } from '../stage.ts'
import { mebibytes, milliseconds, perSecond } from '../table.ts'
import { count, growthTable } from './table.ts'

const sizes = [1000, 10_000, 100_000, 1_000_000]

/** Lines of output of one command, from the executor through the store to a viewer: time, rate and memory. Past 10 MiB the middle is dropped. */
export async function growthOfLines(): Promise<string> {
  const stage = createStage(0)
  try {
    const server = await stage.server()
    const { id, process: agent } = await stage.agent()
    const live = await LiveSocket.open(server)
    const rows: string[][] = []
    for (const size of sizes) {
      const began = performance.now()
      const command = await server.client.submit(id, 'lines.print', { count: size })
      let bytes = 0
      await live.watchOutput(command.id, ({ text = '' }) => {
        bytes += text.length
      })
      await server.client.finished(command.id, 120_000)
      const tookMs = performance.now() - began
      rows.push([
        count(size),
        milliseconds(tookMs),
        perSecond((size * 1000) / tookMs),
        mebibytes(bytes),
        mebibytes(agent.memory()),
        mebibytes(server.process.memory()),
      ])
    }
    live.close()
    const heads = ['lines', 'from submit to end', 'lines', 'shown', 'agent memory', 'server memory']
    return growthTable('Output of one command', heads, rows)
  } finally {
    await stage.dispose()
  }
}
