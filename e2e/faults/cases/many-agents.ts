import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Fault, Lab } from '../fault.ts'
import { quantile, seconds } from '../figures.ts'
import { bundleProgram } from '../programs/bundle-program.ts'
import { type Rig, startRig } from '../rig.ts'
import { createServerMeter } from '../server-meter.ts'

/** Agents on the wire, without executors, that come back as real ones do; they and the stopwatch are processes of their own. */
export const manyAgents: Fault = {
  name: 'many-agents',
  title: '1,000 simulated agents reconnect after the server was killed',
  required: 'all back ≤ 30 s, API p99 ≤ 500 ms, loop p99 ≤ 100 ms (measured inside the server)',
  sabotage: {
    what: 'each handshake blocks the loop for 40 ms',
    file: 'server',
    edits: [
      {
        find: /async handleUpgrade\((\w+), (\w+), (\w+)\) \{/,
        replace:
          'async handleUpgrade($1, $2, $3) { for (const until = Date.now() + 40; Date.now() < until; );',
      },
    ],
  },
  async run(lab) {
    const count = lab.scale({ smoke: 150, full: 1000 })
    const meter = await createServerMeter(lab)
    const rig = await startRig(lab, { env: meter.env })
    const processes = lab.scale({ smoke: 1, full: 2 })
    const program = await bundleProgram(lab, 'simulated-agents.ts')
    for (let i = 0; i < processes; i++)
      await startProgram(lab, program, {
        url: rig.url,
        from: (i * count) / processes,
        count: count / processes,
      })
    await allOnline(rig, count)
    await rig.fleet.server.kill('SIGKILL')
    await rig.fleet.server.restart()
    const readyMs = performance.now()
    const watch = await startProgram(lab, await bundleProgram(lab, 'stopwatch.ts'), {
      url: rig.url,
      token: rig.client.token,
    })
    await allOnline(rig, count)
    const backMs = performance.now() - readyMs
    watch.send('stop')
    const [api] = (await once(watch, 'message')) as [number[]]
    const { loopP99Ms } = await meter.read(rig.fleet.server.pid)
    const apiP99 = quantile(api, 0.99)
    // On a machine that runs other tests at the same time.
    const room = lab.scale({ smoke: 5, full: 1 })
    return {
      passed: backMs <= 30_000 && apiP99 <= 500 * room && loopP99Ms <= 100 * room,
      reached: `${count} agents back after ${seconds(backMs)}; API p99 ${apiP99.toFixed(0)} ms (${api.length} answers, p50 ${quantile(api, 0.5).toFixed(0)} ms), loop p99 ${loopP99Ms.toFixed(0)} ms`,
    }
  },
}

async function startProgram(lab: Lab, program: string, settings: object): Promise<ChildProcess> {
  const child = fork(program, [JSON.stringify(settings)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  lab.onEnd(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

async function allOnline(rig: Rig, count: number): Promise<void> {
  await rig.client.until(
    'all simulated agents to be online',
    async () => {
      const path = '/api/agents?filter=offline&limit=1'
      const { body } = await rig.client.request<{ counts: Record<string, number> }>('GET', path)
      return (body.counts.all ?? 0) === count && (body.counts.offline ?? count) === 0
    },
    90_000,
  )
}
