import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { isTerminal } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { createLoad } from '../load.ts'
import { startRig } from '../rig.ts'

const megabyte = 1024 * 1024

/** Commands that write far more, and far stranger, than anybody reads. */
export const wildOutput: Fault = {
  name: 'wild-output',
  title: 'output of 100 MB, a 10 MB line, NUL, bad UTF-8, ANSI',
  required: 'agent RSS ≤ 150 MB, others unaffected, what is stored has the hash of the result',
  sabotage: {
    what: 'the hash does not cover the marker of what was dropped',
    file: 'agent',
    edits: [{ find: /endless\|\|\w+\.update\(bytes\),(?=queue\.addMarker)/, replace: '' }],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const agent = rig.startAgent('vm-1')
    await rig.online(['vm-1'])
    const inputs = [
      { kind: 'lines', bytes: lab.scale({ smoke: 24, full: 100 }) * megabyte },
      { kind: 'one-line', bytes: 10 * megabyte },
      { kind: 'binary', bytes: lab.scale({ smoke: 6, full: 30 }) * megabyte },
    ]
    const commands = await Promise.all(
      inputs.map((input, i) => rig.patient.submit('vm-1', 'lab.pour', input, `pour-${i}`)),
    )
    const load = createLoad(lab, rig)
    for (let i = 0; i < 5; i++) await load.submit('vm-1')
    let highest = 0
    const ended = async (): Promise<boolean> => {
      const views = await Promise.all(commands.map(({ id }) => rig.patient.command(id)))
      return views.every(isTerminal)
    }
    for (const giveUpMs = performance.now() + 180_000; performance.now() < giveUpMs && !(await ended()); ) {
      highest = Math.max(highest, residentMegabytes(agent.pid))
      await pause(50)
    }
    const audit = await load.audit()
    const wrong: string[] = []
    for (const [i, { id }] of commands.entries()) {
      const view = await rig.patient.command(id)
      const text = await rig.patient.output(id)
      const hash = createHash('sha256').update(text).digest('hex')
      const kind = inputs[i]?.kind ?? ''
      if (view.state !== 'succeeded') wrong.push(`${kind} ${view.state}`)
      else if (hash !== view.output?.sha256) wrong.push(`${kind}: the hash differs`)
    }
    const others = audit.states.succeeded ?? 0
    return {
      passed: wrong.length === 0 && highest <= 150 && others === 5,
      reached: `agent RSS at most ${highest.toFixed(0)} MB, ${commands.length - wrong.length} of ${commands.length} with the right hash${wrong.length > 0 ? ` (${wrong.join('; ')})` : ''}, ${others} of 5 others succeeded`,
    }
  },
}

function residentMegabytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) / 1024
}
