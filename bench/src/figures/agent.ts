import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startAgent } from '../load/agent.ts'
import { startEntry } from '../load/child.ts'
import { startCountingProxy } from '../load/counting-proxy.ts'
import { startServer } from '../load/server.ts'
import type { Measure } from '../stage.ts'
import { megabytes } from '../table.ts'

const settleMs = 15_000
const windowMs = 60_000

/**
 * A real agent with the executors that come with it, left alone: memory, CPU and bytes of one minute, in which one round of facts falls. Beside it idles
 * a bare ws client that sends as many heartbeats: what Node itself costs on this machine.
 */
export const agent: Measure = {
  name: 'agent',
  async measure(stage) {
    // A server of its own, so that no other figure's load reaches it.
    const server = await startServer(join(stage.dir, 'idle'), [])
    stage.defer(() => server.process.stop())
    const proxy = await startCountingProxy(server.process.port)
    stage.defer(() => proxy.close())
    const executors = [join(process.cwd(), 'agent-plugins')]
    const child = await startAgent(server, {
      id: 'idle',
      dir: join(stage.dir, 'agents'),
      executors,
      url: proxy.url,
    })
    stage.defer(() => child.stop())
    const echo = await startEntry('ceiling-ws')
    stage.defer(() => echo.stop())
    const bare = await startEntry('ceiling-idle', { CEILING_URL: `ws://127.0.0.1:${echo.port}/` })
    stage.defer(() => bare.stop())
    await pause(settleMs)
    const [cpuBefore, bareBefore, bytesBefore] = [child.cpuMs(), bare.cpuMs(), proxy.bytes()]
    await pause(windowMs)
    const cpuMs = child.cpuMs() - cpuBefore
    const bareMs = bare.cpuMs() - bareBefore
    const bytes = proxy.bytes() - bytesBefore
    const [resident, anonymous] = [child.memory(), child.anonymousMemory()]
    const share = (cpuMs / windowMs) * 100
    return [
      {
        name: 'agent memory, resident and anonymous',
        reached: `${megabytes(resident)}, ${megabytes(anonymous)} (bare ws ${megabytes(bare.memory())}, ${megabytes(bare.anonymousMemory())})`,
        ratio: bare.memory() / resident,
        bar: '≤ 50 MB, ≤ 12 MB',
        // As the kernel counts: thousands of kB.
        ok: resident <= 50_000 * 1024 && anonymous <= 12_000 * 1024,
      },
      {
        name: 'agent CPU of an idle minute with a fact round',
        reached: `${cpuMs} ms = ${share.toFixed(2)} % (bare ws, no facts: ${bareMs} ms)`,
        ratio: bareMs / cpuMs,
        bar: '< 0.1 %',
        ok: share < 0.1,
      },
      {
        name: 'agent bytes of an idle minute with a metrics sample',
        reached: `${bytes} B`,
        bar: '≤ 1 KB',
        ok: bytes <= 1000,
      },
    ]
  },
}
