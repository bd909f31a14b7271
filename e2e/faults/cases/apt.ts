import { cpSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { CommandView } from '@fleetupdate/sdk'
import { type AptRoot, aptRootProblem, createAptRoot } from '../../apt-root/create-apt-root.ts'
import { installAgent } from '../../fleet/agent-in-root.ts'
import { repository } from '../../repository.ts'
import type { Fault, Lab } from '../fault.ts'
import { type Rig, startRig } from '../rig.ts'

interface AptRig {
  readonly rig: Rig
  readonly root: AptRoot
  upgrade(): Promise<string>
  finished(id: string, timeoutMs?: number): Promise<CommandView>
  installed(name: string): Promise<string>
}

/** A fleet with one agent inside an apt root. */
async function startAptRig(lab: Lab): Promise<AptRig> {
  const plugins = join(lab.folder, 'data/plugins')
  for (const id of ['apt-upgrade', 'os-updates'])
    for (const part of ['dist', 'package.json'])
      cpSync(join(repository, 'plugins', id, part), join(plugins, id, part), { recursive: true })
  const rig = await startRig(lab)
  const root = await createAptRoot()
  lab.onEnd(() => root.dispose())
  await root.installPackage('fleet-demo', '1.0')
  const agent = installAgent(root, { id: 'apt-1', url: rig.url, psk: 'a-secret-for-tests-0123456789' })
  lab.onEnd(() => agent.kill('SIGKILL'))
  agent.start()
  await rig.online(['apt-1'])
  let round = 0
  return {
    rig,
    root,
    async upgrade() {
      const key = `upgrade-${round++}`
      return (await rig.patient.submit('apt-1', 'apt-upgrade.run', { mode: 'all' }, key)).id
    },
    finished: (id, timeoutMs = 120_000) => rig.client.finished(id, timeoutMs),
    async installed(name) {
      return (await root.run(['dpkg-query', '-W', '-f', '${Status} ${Version}', name])).stdout
    },
  }
}

/** apt or dpkg die by SIGKILL in the middle of an upgrade. */
export const killApt: Fault = {
  name: 'kill-apt',
  title: 'kill -9 apt and dpkg at random moments of an upgrade, then upgrade again',
  required: '50 kills: 50/50 recovered by the next run, the killed run says so',
  problem: aptRootProblem,
  async run(lab) {
    const apt = await startAptRig(lab)
    const rounds = lab.scale({ smoke: 2, full: 50 })
    let recovered = 0
    let survived = 0
    const wrong: string[] = []
    for (let round = 0; round < rounds; round++) {
      const version = `${round + 2}.0`
      await apt.root.offer('fleet-demo', version, { scripts: { postinst: 'sleep 0.4' } })
      const id = await apt.upgrade()
      const killed = await killOne(apt.root, lab)
      const first = await apt.finished(id)
      if (first.state === 'succeeded') survived++
      else if (killed && (first.state !== 'failed' || !first.reason))
        wrong.push(`${first.state}: ${first.reason}`)
      const next = await apt.finished(await apt.upgrade())
      const now = await apt.installed('fleet-demo')
      if (next.state === 'succeeded' && now === `install ok installed ${version}`) recovered++
      else wrong.push(`${next.state} (${next.reason}), ${now}`)
      lab.note(`${round}: ${first.state} ${first.reason ?? ''} → ${next.state}, ${now}`)
    }
    return {
      passed: recovered === rounds && wrong.length === 0,
      reached: `${recovered}/${rounds} recovered (${survived} runs had ended well before or despite the kill)${wrong.length > 0 ? `; ${wrong.slice(0, 2).join('; ')}` : ''}`,
    }
  },
}

/** Waits for apt in the root, then kills it or a dpkg below it at a random moment. */
async function killOne(root: AptRoot, lab: Lab): Promise<boolean> {
  const wanted = lab.random.pick(['apt-get', 'dpkg'] as const)
  const delayMs = lab.random.between(0, 500)
  for (const giveUpMs = performance.now() + 20_000; performance.now() < giveUpMs; await pause(5)) {
    if ((await processesOf(root, wanted)).length === 0) continue
    await pause(delayMs)
    for (const pid of await processesOf(root, wanted)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        continue
      }
      return true
    }
    return false
  }
  return false
}

async function processesOf(root: AptRoot, name: string): Promise<number[]> {
  const found: number[] = []
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const where = await readlink(`/proc/${pid}/root`).catch(() => '')
    if (where !== root.directory) continue
    const comm = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
    if (comm.trim() === name) found.push(Number(pid))
  }
  return found
}

/** Everything a package may do to an upgrade besides going well. */
export const nastyPackages: Fault = {
  name: 'nasty-packages',
  title: 'a changed conffile, a script that asks, a failing script, a script that kills the agent',
  required: 'right state and reason each, 0 prompts, 0 upgrades killed',
  problem: aptRootProblem,
  async run(lab) {
    const apt = await startAptRig(lab)
    const { root } = apt
    const wrong: string[] = []
    const expectRun = async (
      what: string,
      state: string,
      check: (command: CommandView) => boolean,
    ): Promise<void> => {
      const command = await apt.finished(await apt.upgrade())
      lab.note(`${what}: ${command.state} ${command.reason ?? ''}`)
      if (command.state !== state || !check(command))
        wrong.push(`${what}: ${command.state} (${command.reason})`)
    }
    const always = (): boolean => true

    await root.installPackage('fleet-conf', '1.0', { conffiles: { '/etc/fleet-conf.conf': 'a = 1\n' } })
    await root.run(['sh', '-c', 'echo changed > /etc/fleet-conf.conf'])
    await root.offer('fleet-conf', '2.0', { conffiles: { '/etc/fleet-conf.conf': 'a = 2\n' } })
    await expectRun('a changed conffile', 'succeeded', always)
    const kept = (await root.run(['cat', '/etc/fleet-conf.conf'])).stdout
    if (kept !== 'changed\n') wrong.push(`the changed conffile was replaced by ${JSON.stringify(kept)}`)

    await root.offer('fleet-demo', '2.0', {
      scripts: { postinst: 'echo "Really? [y/N]"; if read answer; then echo asked; exit 1; fi; exit 0' },
    })
    await expectRun('a question on standard input', 'succeeded', always)

    await root.offer('fleet-demo', '3.0', { scripts: { postinst: 'echo no good; exit 7' } })
    await expectRun('a failing script', 'failed', ({ reason }) => reason !== undefined && reason.length > 0)
    await root.offer('fleet-demo', '4.0')
    await expectRun('the run after it', 'succeeded', always)

    // The agent's command line is the same inside the root: what a postinst that restarts the service would do to it.
    await root.offer('fleet-demo', '5.0', { scripts: { postinst: killAgentScript } })
    const id = await apt.upgrade()
    await apt.rig.client.until(
      'the agent to be killed',
      async () => (await apt.rig.client.agent('apt-1'))?.status === 'offline',
      60_000,
    )
    const agent = installedAgentAgain(apt)
    lab.onEnd(() => agent.kill('SIGKILL'))
    const command = await apt.finished(id)
    lab.note(`a script that kills the agent: ${command.state} ${command.reason ?? ''}`)
    if (command.state !== 'succeeded' || (await apt.installed('fleet-demo')) !== 'install ok installed 5.0')
      wrong.push(`a script that kills the agent: ${command.state} (${command.reason})`)
    const cases = 5
    return {
      passed: wrong.length === 0,
      reached: wrong.length === 0 ? `${cases} of ${cases} cases right, 0 prompts` : wrong.join('; '),
    }
  },
}

const killAgentScript = `for p in /proc/[0-9]*; do
  if tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q 'agent/main.js $'; then
    [ "$(readlink $p/root)" = "/" ] && kill -9 \${p#/proc/}
  fi
done
sleep 1`

function installedAgentAgain({ root, rig }: AptRig): { kill(signal: NodeJS.Signals): Promise<void> } {
  const agent = installAgent(root, { id: 'apt-1', url: rig.url, psk: 'a-secret-for-tests-0123456789' })
  agent.start()
  return agent
}

/** Another process holds dpkg's lock. */
export const aptLock: Fault = {
  name: 'apt-lock',
  title: "another process holds apt's lock for a while",
  required: 'the run waits, then upgrades; while it waits it says who holds the lock',
  sizes: ['full'],
  problem: aptRootProblem,
  async run(lab) {
    const apt = await startAptRig(lab)
    await apt.root.offer('fleet-demo', '2.0')
    const held = apt.root.run([
      '/usr/local/bin/node',
      '-e',
      `const { spawnSync } = require('node:child_process'); spawnSync('sleep', ['0']);
       const script = 'use Fcntl qw(:DEFAULT F_SETLKW F_WRLCK); sysopen(my $f, "/var/lib/dpkg/lock-frontend", O_RDWR|O_CREAT); my $l = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLKW, $l) or die; sleep 6;';
       spawnSync('perl', ['-e', script], { stdio: 'inherit' })`,
    ])
    await pause(500)
    const id = await apt.upgrade()
    const command = await apt.finished(id)
    await held
    const text = await apt.rig.patient.output(id)
    const now = await apt.installed('fleet-demo')
    const named = /perl|pid|process \d+|held by/i.test(text)
    lab.note(text)
    return {
      passed: command.state === 'succeeded' && now === 'install ok installed 2.0' && named,
      reached: `${command.state}, ${now}; the holder is ${named ? '' : 'not '}named in the output`,
    }
  },
}
