import { existsSync, rmSync } from 'node:fs'
import { describeAudit, isClean } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { createLoad } from '../load.ts'
import { startRig } from '../rig.ts'

const library = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64']
  .map((folder) => `${folder}/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path))

const offsets = ['+3600s', '-3600s', '+3650d', '-400d'] as const

/** The agents' clocks are off by an hour and by years; monotonic time goes on as it does. */
export const wrongClocks: Fault = {
  name: 'wrong-clocks',
  title: "the agents' clocks are off by an hour, and by ten years",
  required: 'commands run as with a right clock: 0 lost, 0 twice, 0 refused',
  problem: () => (library === undefined ? 'it needs libfaketime: apt-get install faketime' : undefined),
  sabotage: {
    what: "the agent does not believe the server's clock",
    file: 'agent',
    edits: [{ find: /Number\.isFinite\(ms\)&&\(offsetMs=ms-Date\.now\(\)\)/, replace: 'void ms' }],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const chosen = lab.size === 'smoke' ? offsets.slice(1, 3) : offsets
    const ids = chosen.map((_, i) => `vm-${i + 1}`)
    chosen.forEach((offset, i) => {
      const env = {
        LD_PRELOAD: library ?? '',
        FAKETIME: offset,
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      }
      let pid = -1
      // libfaketime leaves these behind where its process is killed; registered first, so that the agent has ended by then.
      for (const name of ['faketime_shm', 'sem.faketime_sem'])
        lab.onEnd(() => rmSync(`/dev/shm/${name}_${pid}`, { force: true }))
      pid = rig.startAgent(ids[i] ?? '', { env }).pid
    })
    await rig.online(ids)
    const load = createLoad(lab, rig)
    for (const id of ids) for (let i = 0; i < lab.scale({ smoke: 3, full: 15 }); i++) await load.submit(id)
    const audit = await load.audit()
    const succeeded = audit.states.succeeded ?? 0
    return {
      passed: isClean(audit) && succeeded === load.owed.length,
      reached: `clocks off by ${chosen.join(', ')}: ${succeeded} of ${load.owed.length} succeeded; ${describeAudit(audit)}`,
    }
  },
}
