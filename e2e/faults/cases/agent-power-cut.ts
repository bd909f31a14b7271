import { closeSync, fsyncSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { auditCommands, describeAudit, isClean, isTerminal, type Owed } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { copyImage, hostProblem, mountExisting, mountImage, unmount } from '../host.ts'
import { startProxy } from '../proxy.ts'
import { startRig } from '../rig.ts'

const machine = 'vm-1'
const perCut = 3
/** So long the server does not know that a command began. */
const latencyMs = 200

/**
 * The power of the agent's machine fails: agent and runners end in one moment, and of their state is left what was on the disk. What a command did to
 * the world before (here a line in the ledger) stays done.
 */
export const agentPowerCut: Fault = {
  name: 'agent-power-cut',
  title: "power cut of the agent's machine: the image of its disk copied while agent and runners are stopped",
  required: '20 cuts: 0 started twice, every command terminal and true',
  problem: () => hostProblem('mount', 'umount', 'mkfs.ext4', 'losetup'),
  sabotage: {
    what: 'neither the start of an attempt nor who took it is synced',
    file: 'agent',
    edits: [
      {
        find: /await Promise\.all\(\[\.\.\.(\w+)\.map\((\w+)=>\2\.sync\(\)\),[^\]]*\]\)/,
        replace: 'void 0',
      },
      {
        find: /await writeSynced\(temporary,text\),await link\(/,
        replace: 'await (await import("node:fs/promises")).writeFile(temporary,text),await link(',
      },
      {
        find: /return await syncFolder\(dirname\(\w+\)\),!0(?=\}async function writeSynced)/,
        replace: 'return!0',
      },
    ],
  },
  async run(lab) {
    const cuts = lab.scale({ smoke: 4, full: 20 })
    const stateDir = join(lab.folder, 'agents', machine)
    const image = (cut: number): string => join(lab.folder, `disk-${cut}`)
    await mountImage(lab, image(0), stateDir, 32)
    const rig = await startRig(lab)
    const proxy = await startProxy(Number(new URL(rig.url).port), latencyMs)
    lab.onEnd(() => proxy.close())
    const agent = rig.startAgent(machine, { stateDir, url: proxy.url })
    await rig.online([machine])
    // The lab wrote it a moment ago; on a machine it stands there since it was installed.
    sync(join(stateDir, 'config.yaml'))
    const owed: Owed[] = []
    for (let cut = 1; cut <= cuts; cut++) {
      const phase = cut % 2 === 1 ? 'start' : 'end'
      for (let i = 0; i < perCut; i++) {
        // At a start none may end, whose own syncs would help the others.
        const lines = phase === 'start' ? 40 : lab.random.between(1, 40)
        const pauseMs = phase === 'start' ? 10 : lab.random.between(0, 3)
        const input = { ledger: rig.ledger, lines, pauseMs }
        const { id } = await rig.patient.submit(machine, 'lab.work', input, `cut-${cut}-${i}`)
        owed.push({ id, lines, name: 'lab.work' })
      }
      const word = phase === 'start' ? '' : ' done'
      await inLedger(rig.ledger, word, owed.slice(-perCut))
      await pause(lab.random.between(0, 60))
      const stopped = [agent.pid, ...runnersOf(stateDir)]
      signalAll(stopped, 'SIGSTOP')
      await copyImage(image(cut - 1), image(cut))
      signalAll(stopped.slice(1), 'SIGKILL')
      await agent.kill('SIGKILL')
      await unmount(stateDir)
      await mountExisting(lab, image(cut), stateDir)
      agent.start()
      await rig.online([machine])
      await rig.patient
        .until(
          'the end',
          async () => {
            const views = await Promise.all(owed.slice(-perCut).map(({ id }) => rig.patient.command(id)))
            return views.every(isTerminal)
          },
          60_000,
        )
        .catch(() => lab.note(agent.output().slice(-3000)))
      lab.note(`cut ${cut}`)
    }
    const audit = await auditCommands(rig.patient, owed, rig.ledger, { runnersDied: true })
    const { succeeded = 0, interrupted = 0 } = audit.states
    return {
      passed: isClean(audit),
      reached: `${cuts} cuts: ${describeAudit(audit)} (${succeeded} succeeded, ${interrupted} interrupted)`,
    }
  },
}

/** When the first of them has done what cannot be undone. */
async function inLedger(ledger: string, word: '' | ' done', commands: readonly Owed[]): Promise<void> {
  while (!commands.some(({ id }) => readFileSync(ledger, 'utf8').includes(`${id}${word}\n`))) await pause(2)
}

function sync(path: string): void {
  const file = openSync(path, 'r')
  fsyncSync(file)
  closeSync(file)
}

/** The runners of an agent, by the folder of the attempt that each was given. */
function runnersOf(stateDir: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandLine(name).includes(join(stateDir, 'attempts')))
    .map(Number)
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids)
    try {
      process.kill(pid, signal)
    } catch {
      // It ended meanwhile.
    }
}
