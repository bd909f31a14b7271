import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describeAudit, isClean } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { seconds } from '../figures.ts'
import { createLoad } from '../load.ts'
import { startRig } from '../rig.ts'

/** A VM is cloned with its agent: two machines speak with one identity. */
export const clonedAgent: Fault = {
  name: 'cloned-agent',
  title: 'a machine is cloned together with its agent, and both run',
  required: 'noticed and quarantined ≤ 60 s; other agents work on',
  sabotage: {
    what: 'the server notices, and does nothing',
    file: 'server',
    edits: [{ find: /await quarantine\.put\(/, replace: 'void (' }],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const original = rig.startAgent('vm-1')
    rig.startAgent('vm-2')
    await rig.online(['vm-1', 'vm-2'])
    const load = createLoad(lab, rig)
    for (let i = 0; i < 3; i++) await load.submit('vm-1')
    await load.audit()
    // A clone is a copy of a disk: the machine stood still for that moment.
    await original.kill('SIGTERM')
    const copy = join(lab.folder, 'clone')
    cpSync(original.stateDir, copy, { recursive: true })
    rmSync(join(copy, 'agent.lock'), { force: true })
    original.start()
    await rig.online(['vm-1'])
    await pause(lab.random.between(0, 500))
    const clone = rig.startAgent('vm-1', { stateDir: copy })
    const beganMs = performance.now()
    const isNoticed = async (): Promise<boolean> => {
      const { body } = await rig.patient.request<{ quarantine?: unknown }>('GET', '/api/agents/vm-1')
      return body.quarantine !== undefined && body.quarantine !== null
    }
    await rig.patient.until('the quarantine', isNoticed, 75_000).catch(() => undefined)
    const noticed = await isNoticed()
    const tookMs = performance.now() - beganMs
    if (!noticed) lab.note(clone.output())
    for (let i = 0; i < 5; i++) await load.submit('vm-2')
    const audit = await load.audit()
    return {
      passed: noticed && tookMs <= 60_000 && isClean(audit),
      reached: noticed
        ? `quarantined after ${seconds(tookMs)}; ${describeAudit(audit)}`
        : `not noticed within ${seconds(tookMs)}; ${describeAudit(audit)}`,
    }
  },
}
