import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { enrol } from '@fleetupdate/core/testing'
import type { Fault, Lab } from '../fault.ts'
import { quantile } from '../figures.ts'
import { hostProblem } from '../host.ts'
import { type Rig, startRig } from '../rig.ts'

/** Each fsync takes 5 ms longer, as on a slow disk. */
export const slowFsync: Fault = {
  name: 'slow-fsync',
  title: 'each fsync of the database takes 5 ms longer',
  required: '≥ 1,000 durable commands/s, p99 ≤ 100 ms, loop stall ≤ 250 ms',
  problem: () => hostProblem('strace'),
  sabotage: {
    what: 'each command is committed by itself',
    file: 'server',
    edits: [
      {
        find: /encodeGroup\((\w+)\.path, (\w+)\.waiting,/,
        replace: 'encodeGroup($1.path, $2.waiting.splice(0, 1),',
      },
    ],
  },
  async run(lab) {
    const rig = await startRig(lab)
    await enrol(rig.url, 'vm-1', { id: 'psk', text: 'a-secret-for-tests-0123456789' })
    await slowDown(lab, rig)
    const loop: number[] = []
    let isOver = false
    const asking = (async () => {
      while (!isOver) {
        const askedMs = performance.now()
        await rig.client.request('GET', '/api/health')
        loop.push(performance.now() - askedMs)
        await pause(20)
      }
    })()
    const seconds = lab.scale({ smoke: 3, full: 10 })
    // Warm: the first ones compile what the server needs.
    await submitFor(rig, 1, 64)
    const { latencies, refused } = await submitFor(rig, seconds, 64)
    isOver = true
    await asking
    const perSecond = latencies.length / seconds
    const p99 = quantile(latencies, 0.99)
    const stall = Math.max(...loop)
    // A machine that does other work at the same time has no thousand. One commit each 5 ms makes 200 a second: more shows that they are shared.
    const least = lab.scale({ smoke: 220, full: 1000 })
    const limits = lab.scale({ smoke: 10, full: 1 })
    return {
      passed: perSecond >= least && p99 <= 100 * limits && stall <= 250 * limits && refused === 0,
      reached: `${perSecond.toFixed(0)} durable commands/s, p50 ${quantile(latencies, 0.5).toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, slowest answer meanwhile ${stall.toFixed(0)} ms, ${refused} refused (client and server share the machine)`,
    }
  },
}

/** Finds the thread that syncs, and traces that one alone: the others keep their speed. */
async function slowDown(lab: Lab, rig: Rig): Promise<void> {
  const { pid } = rig.fleet.server
  const watching = spawn('strace', ['-f', '-p', String(pid), '-e', 'trace=fsync,fdatasync'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  lab.onEnd(() => watching.kill('SIGKILL'))
  let said = ''
  watching.stderr.on('data', (data) => (said += data))
  const input = { ledger: rig.ledger, lines: 0, pauseMs: 0 }
  await rig.client.until('the thread that syncs', async () => {
    await rig.client.submit('vm-1', 'lab.work', input)
    return /\[pid\s+(\d+)\] f(data)?sync/.test(said)
  })
  watching.kill('SIGINT')
  await once(watching, 'exit')
  const thread = /\[pid\s+(\d+)\] f(data)?sync/.exec(said)?.[1] ?? ''
  if (!readdirSync(`/proc/${pid}/task`).includes(thread))
    throw new Error(`No thread ${thread} in the server.`)
  const args = ['-p', thread, '-o', '/dev/null', '-e', 'trace=fsync,fdatasync']
  const tracer = spawn('strace', [...args, '-e', 'inject=fsync,fdatasync:delay_enter=5000'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  lab.onEnd(() => stop(tracer))
  await once(tracer.stderr, 'data')
}

function stop(tracer: ChildProcess): void {
  tracer.kill('SIGKILL')
}

/** Submits over so many connections at once, each the next one when the former was accepted. */
async function submitFor(
  rig: Rig,
  seconds: number,
  connections: number,
): Promise<{ readonly latencies: number[]; readonly refused: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const latencies: number[] = []
  let refused = 0
  const untilMs = performance.now() + seconds * 1000
  const body = JSON.stringify({ command: 'lab.work', input: { ledger: rig.ledger, lines: 0, pauseMs: 0 } })
  const one = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const beganMs = performance.now()
      if ((await post(rig, agent, body)) === 202) latencies.push(performance.now() - beganMs)
      else refused++
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
  agent.destroy()
  return { latencies, refused }
}

function post(rig: Rig, agent: Agent, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${rig.client.token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    }
    const asked = request(
      `${rig.url}/api/agents/vm-1/commands`,
      { method: 'POST', agent, headers },
      (answer) => {
        answer.resume()
        answer.on('end', () => resolve(answer.statusCode ?? 0))
      },
    )
    asked.on('error', reject)
    asked.end(body)
  })
}
