import { setTimeout as pause } from 'node:timers/promises'
import { isTerminal } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { seconds } from '../figures.ts'
import { createLoad } from '../load.ts'
import { startRig } from '../rig.ts'

/** The agent stands still (SIGSTOP) while its command is cancelled and queued again. */
export const pausedAgent: Fault = {
  name: 'paused-agent',
  title: 'SIGSTOP the agent while its command is cancelled and queued again',
  required:
    '0 started twice, state true, terminal ≤ 30 s after it is back; silent for 60 s: unknown in ≤ 75 s',
  sabotage: {
    what: 'the agent does not listen to cancels',
    file: 'agent',
    edits: [{ find: /frame\.type==="cancel"&&inTurn\(/, replace: 'false&&inTurn(' }],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const agent = rig.startAgent('vm-1')
    await rig.online(['vm-1'])
    const load = createLoad(lab, rig, { lines: 200, pauseMs: 5 })
    let slowestMs = 0
    let wrong = 0
    for (const stoppedMs of lab.size === 'smoke' ? [500, 3000] : [50, 500, 3000, 12_000, 65_000]) {
      agent.signal('SIGSTOP')
      const id = await load.submit('vm-1')
      await pause(lab.random.between(0, 50))
      await rig.client.request('POST', `/api/commands/${id}/cancel`)
      const again = await load.submit('vm-1')
      await pause(stoppedMs)
      agent.signal('SIGCONT')
      const backMs = performance.now()
      const ended = async (): Promise<boolean> =>
        isTerminal(await rig.patient.command(id)) && isTerminal(await rig.patient.command(again))
      await rig.patient.until('both to end', ended, 90_000)
      slowestMs = Math.max(slowestMs, performance.now() - backMs)
      if ((await rig.patient.command(id)).state !== 'cancelled') wrong++
      if ((await rig.patient.command(again)).state !== 'succeeded') wrong++
    }
    const unknownMs = lab.size === 'full' ? await untilUnknown() : 0
    const audit = await load.audit()
    const { startedTwice, lost, notTerminal, untrue } = audit
    const isTrue = startedTwice + lost + notTerminal + untrue + wrong === 0
    const unknown = lab.size === 'full' ? `, unknown after ${seconds(unknownMs)}` : ''
    return {
      passed: isTrue && slowestMs <= 30_000 && unknownMs <= 75_000,
      reached: `${startedTwice} started twice, ${untrue + wrong} untrue states, slowest end ${seconds(slowestMs)} after it was back${unknown}`,
    }

    async function untilUnknown(): Promise<number> {
      const id = await load.submit('vm-1')
      const started = async (): Promise<boolean> => (await rig.patient.command(id)).startedAt !== undefined
      await rig.patient.until('the start', started)
      agent.signal('SIGSTOP')
      const stoppedMs = performance.now()
      // A runner goes on without its agent: only a command that was not told to have ended can become unknown.
      const isUnknown = async (): Promise<boolean> => (await rig.patient.command(id)).state === 'unknown'
      await rig.patient.until('unknown', isUnknown, 90_000).catch(() => undefined)
      const took = performance.now() - stoppedMs
      agent.signal('SIGCONT')
      return took
    }
  },
}
