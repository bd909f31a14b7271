import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { aptRootProblem } from '../../apt-root/create-apt-root.ts'
import type { Fault, Lab } from '../fault.ts'
import { seconds } from '../figures.ts'
import { type AptRig, startAptRig } from './apt-rig.ts'

/** Another process holds dpkg's lock: for a while, and for ever. */
export const aptLock: Fault = {
  name: 'apt-lock',
  title: "another process holds apt's lock, for a while and for ever",
  required:
    'waits and names the holder, then upgrades; held for ever: ends with the time-out or a cancel ≤ 2 s, nothing left',
  sizes: ['full'],
  problem: aptRootProblem,
  sabotage: {
    what: 'nobody looks who holds the lock',
    file: 'aptExecutor',
    edits: [
      {
        find: /await waitForLocks\((\w+), \{\n\s+files: packageLocks,/,
        replace: 'await (async () => {})($1, {',
      },
    ],
  },
  async run(lab) {
    const apt = await startAptRig(lab)
    const wrong: string[] = []
    const check = (what: string, holds: boolean): void => {
      lab.note(`${holds ? 'right' : 'WRONG'}: ${what}`)
      if (!holds) wrong.push(what)
    }
    await apt.root.offer('fleet-demo', '2.0')
    const release = await holdLock(lab, apt)
    const first = await apt.upgrade()
    const isNamed = async (): Promise<boolean> =>
      /process \d+ \(perl\)/.test(await apt.rig.patient.output(first))
    await apt.rig.patient.until('the holder to be named', isNamed, 30_000).catch(() => undefined)
    check('the holder is named while it waits', await isNamed())
    await release()
    const upgraded = await apt.finished(first)
    check(`it upgrades once the lock is free: ${upgraded.state}`, upgraded.state === 'succeeded')
    check('the package is there', (await apt.installed('fleet-demo')) === 'install ok installed 2.0')

    await apt.root.offer('fleet-demo', '3.0')
    const releaseForEver = await holdLock(lab, apt)
    const timed = await apt.finished(await apt.upgrade({ timeoutSeconds: 5 }), 60_000)
    check(`held for ever, with a time-out: ${timed.state} (${timed.reason})`, timed.state === 'timed_out')
    const waiting = await apt.upgrade()
    const isRunning = async (): Promise<boolean> => /perl/.test(await apt.rig.patient.output(waiting))
    await apt.rig.patient.until('the next one to wait', isRunning, 30_000).catch(() => undefined)
    const askedMs = performance.now()
    await apt.rig.client.request('POST', `/api/commands/${waiting}/cancel`)
    const cancelled = await apt.finished(waiting, 60_000)
    const cancelMs = performance.now() - askedMs
    check(
      `a cancel while it waits: ${cancelled.state} after ${seconds(cancelMs)}`,
      cancelled.state === 'cancelled' && cancelMs <= 2000,
    )
    await releaseForEver()
    const last = await apt.finished(await apt.upgrade())
    check(`the run after it: ${last.state}`, last.state === 'succeeded')
    return {
      passed: wrong.length === 0,
      reached:
        wrong.length === 0
          ? `6 of 6 right, cancelled within ${seconds(cancelMs)}`
          : `wrong: ${wrong.join('; ')}`,
    }
  },
}

/** Takes dpkg's front-end lock inside the root with a process of its own; answers how to give it back. */
async function holdLock(lab: Lab, apt: AptRig): Promise<() => Promise<void>> {
  const script = `use Fcntl qw(:DEFAULT F_SETLKW F_WRLCK); $| = 1;
sysopen(my $f, "/var/lib/dpkg/lock-frontend", O_RDWR|O_CREAT) or die;
my $l = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLKW, $l) or die; print "held\\n"; sleep 600;`
  const holder = spawn('chroot', [apt.root.directory, '/usr/bin/perl', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  lab.onEnd(() => holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  return async () => {
    if (holder.exitCode !== null) return
    const ended = once(holder, 'exit')
    holder.kill('SIGKILL')
    await ended
  }
}
