import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startTestFleet } from '@fleetupdate/sdk/testing'
import { describeAudit, isClean } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { quantile, seconds } from '../figures.ts'
import { copyImage, hostProblem, mountExisting, mountImage, mountSmallDisk, unmount } from '../host.ts'
import { createLoad } from '../load.ts'
import { type Rig, startRig } from '../rig.ts'

/** Another process holds the database. */
export const databaseLock: Fault = {
  name: 'database-lock',
  title: 'another process holds the lock of the database',
  required: 'held for 10 s: loop stall ≤ 250 ms, every submit waits and is accepted, 0 lost',
  sabotage: {
    what: 'a write does not wait for the lock',
    file: 'storeWorker',
    edits: [{ find: /giveUpAt: now \+ \w+ - batch\.waitedMs/, replace: 'giveUpAt: now' }],
  },
  async run(lab) {
    const rig = await startRig(lab)
    rig.startAgent('vm-1')
    await rig.online(['vm-1'])
    const load = createLoad(lab, rig)
    const heldMs = lab.scale({ smoke: 3000, full: 10_000 })
    const holder = await holdLock(join(rig.dataDir, 'core.db'), heldMs)
    lab.onEnd(() => holder.kill('SIGKILL'))
    const beganMs = performance.now()
    const input = { ledger: rig.ledger, lines: 1, pauseMs: 0 }
    // Not patient: a refusal is one.
    const submits = Promise.allSettled(
      Array.from({ length: 20 }, () => rig.client.submit('vm-1', 'lab.work', input)),
    )
    const stalls: number[] = []
    while (performance.now() - beganMs < heldMs - 300) {
      const askedMs = performance.now()
      await rig.client.request('GET', '/api/health')
      stalls.push(performance.now() - askedMs)
      await pause(15)
    }
    const answers = await submits
    for (const answer of answers)
      if (answer.status === 'fulfilled') load.owe({ id: answer.value.id, lines: 1, name: 'lab.work' })
    const refused = answers.length - load.owed.length
    const waitedMs = performance.now() - beganMs
    const audit = await load.audit()
    const stall = Math.max(...stalls)
    return {
      passed: isClean(audit) && refused === 0 && stall <= 250 && waitedMs >= heldMs - 500,
      reached: `held for ${seconds(heldMs)}: ${refused} of ${answers.length} submits refused, slowest of ${stalls.length} answers ${stall.toFixed(0)} ms, p99 ${quantile(stalls, 0.99).toFixed(0)} ms; ${describeAudit(audit)}`,
    }
  },
}

const holderProgram = `
const Database = require('better-sqlite3')
const db = new Database(process.argv[1])
db.exec('BEGIN IMMEDIATE')
process.send('held')
setTimeout(() => { db.exec('ROLLBACK'); process.exit(0) }, Number(process.argv[2]))`

async function holdLock(file: string, ms: number): Promise<ChildProcess> {
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const
  const child = spawn(process.execPath, ['-e', holderProgram, file, String(ms)], { stdio: [...stdio] })
  await once(child, 'message')
  return child
}

/** The disk of the server fills up and has room again. */
export const fullDisk: Fault = {
  name: 'full-disk',
  title: "the server's disk is full, and has room again",
  required: '507 and nothing lost',
  sabotage: {
    what: 'a full disk counts as a disk that failed',
    file: 'storeWorker',
    edits: [{ find: /return "full"/, replace: 'return "failed"' }],
  },
  problem: () => hostProblem('mount', 'umount'),
  async run(lab) {
    const dataDir = join(lab.folder, 'data')
    await mountSmallDisk(lab, dataDir, 64)
    const rig = await startRig(lab, { dataDir })
    rig.startAgent('vm-1')
    await rig.online(['vm-1'])
    const load = createLoad(lab, rig)
    for (let i = 0; i < 5; i++) await load.submit('vm-1')
    const ballast = join(dataDir, 'ballast')
    fill(ballast)
    const statuses = new Map<number, number>()
    let accepted = 0
    for (let i = 0; i < 400 && (statuses.get(507) ?? 0) < 5; i++) {
      const path = '/api/agents/vm-1/commands'
      const input = { ledger: rig.ledger, lines: 1, pauseMs: 0 }
      const { status, body } = await rig.client.request<{ code?: string }>('POST', path, {
        command: 'lab.work',
        input,
      })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status === 202) accepted++
      else if (status === 507 && body.code !== 'FLT_STORE_FULL') statuses.set(0, 1)
    }
    const health = await rig.client.request('GET', '/api/health')
    rmSync(ballast)
    await rig.client.until('room for submits', async () => {
      const input = { ledger: rig.ledger, lines: 0, pauseMs: 0 }
      return (
        (await rig.client.request('POST', '/api/agents/vm-1/commands', { command: 'lab.work', input }))
          .status === 202
      )
    })
    for (let i = 0; i < 5; i++) await load.submit('vm-1')
    const audit = await load.audit()
    const others = [...statuses.keys()].filter((status) => status !== 202 && status !== 507)
    const full = statuses.get(507) ?? 0
    return {
      passed: isClean(audit) && full > 0 && others.length === 0 && health.status === 200,
      reached: `${full} answers of 507 (${accepted} accepted before), ${others.length === 0 ? 'no other refusal' : `also ${others.join(', ')}`}; ${describeAudit(audit)}`,
    }
  },
}

/** Writes until nothing more fits. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (const block = Buffer.alloc(4096); ; ) writeSync(file, block)
  } catch (error) {
    if (!String(error).includes('ENOSPC')) throw error
  } finally {
    closeSync(file)
  }
}

/** The power goes: what the disk holds at that moment is all there is. */
export const powerCut: Fault = {
  name: 'power-cut',
  title: 'power cut: the image of the disk copied while the server is stopped',
  required: '25 cuts: 0 acknowledged lost, the database opens',
  problem: () => hostProblem('mount', 'umount', 'mkfs.ext4', 'losetup'),
  sabotage: {
    what: 'synchronous=OFF',
    file: 'storeWorker',
    edits: [{ find: /synchronous = FULL/, replace: 'synchronous = OFF' }],
  },
  async run(lab) {
    const cuts = lab.scale({ smoke: 3, full: 25 })
    const image = join(lab.folder, 'disk')
    const dataDir = join(lab.folder, 'data')
    await mountImage(lab, image, dataDir, 96)
    const rig = await startRig(lab, { dataDir })
    const accepted: string[] = []
    const missing = new Set<string>()
    let opened = 0
    for (let cut = 0; cut < cuts; cut++) {
      const submitting = submitUntil(rig, accepted, () => lab.random.next() < 0.03)
      await submitting
      process.kill(rig.fleet.server.pid, 'SIGSTOP')
      const owed = [...accepted]
      // A file of its own each time: the loop device of the one before may still be there.
      const copy = join(lab.folder, `after-cut-${cut}`)
      await copyImage(image, copy)
      process.kill(rig.fleet.server.pid, 'SIGCONT')
      const folder = join(lab.folder, `cut-${cut}`)
      await mountExisting(lab, copy, folder)
      const after = await startTestFleet({
        serverEntry: lab.build.server,
        pluginDirs: [],
        agents: [],
        dataDir: folder,
      })
      lab.onEnd(() => after.server.kill('SIGKILL'))
      opened++
      for (const id of owed) {
        const { status } = await after.client.request('GET', `/api/commands/${id}`)
        if (status !== 200) missing.add(id)
      }
      lab.note(`cut ${cut}: ${owed.length} owed, ${missing.size} missing so far`)
      await after.server.kill('SIGKILL')
      await unmount(folder)
      rmSync(copy)
    }
    return {
      passed: missing.size === 0 && opened === cuts,
      reached: `${cuts} cuts, ${accepted.length} acknowledged: ${missing.size} lost, the database opened ${opened} times`,
    }
  },
}

/** Submits for an agent that never comes, until the moment is there. */
async function submitUntil(rig: Rig, accepted: string[], isOver: () => boolean): Promise<void> {
  const agent = await rig.client.agent('vm-power')
  if (!agent) {
    const enrolled = rig.startAgent('vm-power')
    await rig.online(['vm-power'])
    await enrolled.kill('SIGKILL')
  }
  do {
    const input = { ledger: rig.ledger, lines: 0, pauseMs: 0 }
    const made = await Promise.all([1, 2, 3].map(() => rig.client.submit('vm-power', 'lab.work', input)))
    accepted.push(...made.map(({ id }) => id))
  } while (!isOver())
}

/** The disk refuses to make writes durable. */
export const failingFsync: Fault = {
  name: 'failing-fsync',
  title: 'fsync of the database fails',
  required: 'fail-stop ≤ 1 s, 0 acknowledged lost after the restart',
  sabotage: {
    what: 'a failed fsync does not end the server',
    file: 'storeWorker',
    edits: [{ find: /if \(trouble === "failed"\) fatal\(/, replace: 'if (false) fatal(' }],
  },
  problem: () => hostProblem('strace'),
  async run(lab) {
    const rig = await startRig(lab)
    rig.startAgent('vm-1')
    await rig.online(['vm-1'])
    const load = createLoad(lab, rig)
    for (let i = 0; i < 10; i++) await load.submit('vm-1')
    const { server } = rig.fleet
    const askedMs = performance.now()
    const inject = ['-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:error=EIO']
    const tracer = spawn('strace', ['-f', '-o', '/dev/null', '-p', String(server.pid), ...inject], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    lab.onEnd(() => tracer.kill('SIGKILL'))
    await once(tracer.stderr, 'data')
    const input = { ledger: rig.ledger, lines: 1, pauseMs: 0 }
    const body = { command: 'lab.work', input }
    const status = await rig.client.request('POST', '/api/agents/vm-1/commands', body).then(
      (answer) => answer.status,
      () => 0,
    )
    while (isAlive(server.pid) && performance.now() - askedMs < 5000) await pause(10)
    const stoppedMs = performance.now() - askedMs
    const isStopped = !isAlive(server.pid)
    tracer.kill('SIGTERM')
    await server.kill('SIGKILL')
    await server.restart()
    await rig.online(['vm-1'])
    const audit = await load.audit()
    return {
      passed: isClean(audit) && isStopped && stoppedMs <= 1000 && status !== 202,
      reached: `the submit was answered ${status === 0 ? 'by the end of the connection' : status}, the server ${isStopped ? `stopped ${seconds(stoppedMs)} after strace was started` : 'went on'}; ${describeAudit(audit)}`,
    }
  },
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
