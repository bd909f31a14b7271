import { setTimeout as pause } from 'node:timers/promises'
import { type AptRoot, aptRootProblem } from '../../apt-root/create-apt-root.ts'
import type { Fault, Lab } from '../fault.ts'
import { processesIn, startAptRig } from './apt-rig.ts'

/** apt or dpkg die by SIGKILL while dpkg changes the system. */
export const killApt: Fault = {
  name: 'kill-apt',
  title: 'kill -9 apt and dpkg while dpkg unpacks or configures, then upgrade again',
  required: '50 upgrades really broken: 50/50 recovered by the next run, each broken one says so',
  problem: aptRootProblem,
  sabotage: {
    what: 'the next run does not repair what was interrupted',
    file: 'aptExecutor',
    edits: [{ find: /(\w+) \? await repairFirst\(/, replace: 'false && $1 ? await repairFirst(' }],
  },
  async run(lab) {
    const apt = await startAptRig(lab)
    const wanted = lab.scale({ smoke: 2, full: 50 })
    let broken = 0
    let recovered = 0
    let survived = 0
    const killed: Record<string, number> = {}
    const wrong: string[] = []
    for (let round = 0; broken < wanted && round < 3 * wanted; round++) {
      const version = `${round + 2}.0`
      const scripts = { preinst: 'sleep 0.3', postinst: 'sleep 0.3' }
      await apt.root.offer('fleet-demo', version, { scripts })
      const id = await apt.upgrade()
      const victim = await killOne(apt.root, lab)
      const first = await apt.finished(id)
      if (first.state === 'succeeded') survived++
      else {
        broken++
        killed[victim] = (killed[victim] ?? 0) + 1
        if (first.state !== 'failed' || !first.reason)
          wrong.push(`killed ${victim}: ${first.state} (${first.reason})`)
      }
      const next = await apt.finished(await apt.upgrade())
      const now = await apt.installed('fleet-demo')
      const isRecovered = next.state === 'succeeded' && now === `install ok installed ${version}`
      if (isRecovered && first.state !== 'succeeded') recovered++
      if (!isRecovered) wrong.push(`${next.state} (${next.reason}), ${now}`)
      lab.note(`${round}: killed ${victim}, ${first.state} ${first.reason ?? ''} → ${next.state}, ${now}`)
    }
    const by = Object.entries(killed).map(([name, count]) => `${count} by killing ${name}`)
    return {
      passed: recovered === wanted && broken === wanted && wrong.length === 0,
      reached: `${recovered}/${broken} recovered (${by.join(', ')}; ${survived} more upgrades ended well despite the kill)${wrong.length > 0 ? `; ${wrong.slice(0, 2).join('; ')}` : ''}`,
    }
  },
}

/** Waits for a dpkg that changes the system, and a random moment; then kills apt, dpkg, or both. Answers whom. */
async function killOne(root: AptRoot, lab: Lab): Promise<string> {
  const victim = lab.random.pick(['apt', 'dpkg', 'dpkg', 'both'] as const)
  const delayMs = lab.random.between(0, 350)
  for (const giveUpMs = performance.now() + 30_000; performance.now() < giveUpMs; await pause(4)) {
    const running = await processesIn(root)
    if (!running.some(({ name, commandLine }) => name === 'dpkg' && /--(unpack|configure)/.test(commandLine)))
      continue
    await pause(delayMs)
    for (const { pid, name } of await processesIn(root)) {
      const isVictim = (name === 'dpkg' && victim !== 'apt') || (name === 'apt-get' && victim !== 'dpkg')
      if (!isVictim) continue
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended this very moment.
      }
    }
    return victim
  }
  return 'nobody'
}
