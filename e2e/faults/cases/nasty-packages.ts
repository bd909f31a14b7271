import { createHash } from 'node:crypto'
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandView } from '@fleetupdate/sdk'
import { aptRootProblem } from '../../apt-root/create-apt-root.ts'
import type { Fault, Lab } from '../fault.ts'
import { seconds } from '../figures.ts'
import { type AptRig, aptAgentId, leftoversIn, type RootProcess, startAptRig } from './apt-rig.ts'

/** Everything a package or an archive may do to an upgrade besides going well. */
export const nastyPackages: Fault = {
  name: 'nasty-packages',
  title:
    'conffile and debconf questions, scripts that ask, fail, hang or kill the agent; missing, held, forged packages; an expired index',
  required: 'right state and reason each, the log complete, 0 prompts, 0 orphans, 0 upgrades killed',
  problem: aptRootProblem,
  sabotage: {
    what: 'what runs for ever is not ended by its time-out',
    file: 'agent',
    edits: [{ find: /\(\)\s*=>\s*timeUp\(timeoutMs\)/, replace: '()=>{}' }],
  },
  async run(lab) {
    const apt = await startAptRig(lab)
    const wrong: string[] = []
    let cases = 0
    const check: Check = (what, holds) => {
      cases++
      lab.note(`${holds ? 'right' : 'WRONG'}: ${what}`)
      if (!holds) wrong.push(what)
    }
    const groups = lab.size === 'smoke' ? [questions, hangingScript, archiveTrouble] : all
    for (const group of groups) await group(apt, check, lab)
    return {
      passed: wrong.length === 0,
      reached:
        wrong.length === 0
          ? `${cases} of ${cases} right, 0 prompts, 0 orphans`
          : `${wrong.length} of ${cases} wrong: ${wrong.join('; ')}`,
    }
  },
}

type Check = (what: string, holds: boolean) => void

/** Runs an upgrade to its end; its log must be whole, and nothing of it may be left running. */
async function runUpgrade(
  apt: AptRig,
  check: Check,
  options: { readonly timeoutSeconds?: number; readonly input?: object } = {},
): Promise<CommandView & { readonly text: string }> {
  const { input, ...more } = options
  const id = await apt.upgrade(more, input)
  const command = await apt.finished(id)
  const text = await apt.rig.patient.output(id)
  const hash = createHash('sha256').update(text).digest('hex')
  check(`the log of ${command.state} is complete`, command.output?.sha256 === hash)
  let left: readonly RootProcess[] = []
  const isEmpty = async (): Promise<boolean> => {
    left = await leftoversIn(apt.root)
    return left.length === 0
  }
  await apt.rig.client.until('the end of all it started', isEmpty, 5_000).catch(() => undefined)
  const names = left.map(({ commandLine, pid, parent }) => `${commandLine} (${pid}, child of ${parent})`)
  check(`nothing is left running after ${command.state} (${names.join('; ')})`, left.length === 0)
  return { ...command, text }
}

async function questions(apt: AptRig, check: Check): Promise<void> {
  const { root } = apt
  await root.installPackage('fleet-conf', '1.0', { conffiles: { '/etc/fleet-conf.conf': 'a = 1\n' } })
  await root.run(['sh', '-c', 'echo changed > /etc/fleet-conf.conf'])
  await root.offer('fleet-conf', '2.0', { conffiles: { '/etc/fleet-conf.conf': 'a = 2\n' } })
  const conffile = await runUpgrade(apt, check)
  const kept = (await root.run(['cat', '/etc/fleet-conf.conf'])).stdout
  check(
    `a changed conffile: ${conffile.state}, ${JSON.stringify(kept)}`,
    conffile.state === 'succeeded' && kept === 'changed\n',
  )

  await root.offer('fleet-demo', '2.0', {
    scripts: { postinst: 'echo "Really? [y/N]"; if read answer; then echo asked; exit 1; fi; exit 0' },
  })
  const asking = await runUpgrade(apt, check)
  check(`a question on standard input: ${asking.state}`, asking.state === 'succeeded')

  await root.offer('fleet-demo', '3.0', {
    control: {
      templates:
        'Template: fleet-demo/colour\nType: string\nDefault: blue\nDescription: Which colour?\n It is asked with the highest priority.\n',
      config:
        '#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\ndb_input critical fleet-demo/colour || true\ndb_go\n',
    },
    scripts: {
      postinst: '. /usr/share/debconf/confmodule\ndb_get fleet-demo/colour\necho "colour $RET" >&2\ndb_stop',
    },
  })
  const debconf = await runUpgrade(apt, check)
  check(
    `a question of debconf: ${debconf.state}`,
    debconf.state === 'succeeded' && debconf.text.includes('colour blue'),
  )
}

async function hangingScript(apt: AptRig, check: Check): Promise<void> {
  await apt.root.offer('fleet-demo', '4.0', {
    scripts: { postinst: 'trap "" TERM\necho waits for ever\nwhile [ ! -e /run/it-came ]; do sleep 1; done' },
  })
  const beganMs = performance.now()
  const hanging = await runUpgrade(apt, check, { timeoutSeconds: 5 })
  const tookMs = performance.now() - beganMs
  check(
    `a script that hangs: ${hanging.state} (${hanging.reason}) after ${seconds(tookMs)}`,
    hanging.state === 'timed_out' && hanging.text.includes('waits for ever') && tookMs <= 5000 + 45_000,
  )
  // What it waited for: the next run finishes it first.
  await apt.root.run(['touch', '/run/it-came'])
  await apt.root.offer('fleet-demo', '5.0')
  const next = await runUpgrade(apt, check)
  check(
    `the run after it: ${next.state} (${next.reason})`,
    next.state === 'succeeded' && (await apt.installed('fleet-demo')).endsWith(' 5.0'),
  )
}

async function failingScript(apt: AptRig, check: Check): Promise<void> {
  await apt.root.offer('fleet-demo', '6.0', { scripts: { postinst: 'echo no good; exit 7' } })
  const failing = await runUpgrade(apt, check)
  check(
    `a failing script: ${failing.state} (${failing.reason})`,
    failing.state === 'failed' && (failing.reason ?? '') !== '',
  )
  await apt.root.offer('fleet-demo', '7.0')
  const next = await runUpgrade(apt, check)
  check(`the run after it: ${next.state}`, next.state === 'succeeded')
}

async function archiveTrouble(apt: AptRig, check: Check): Promise<void> {
  const { root, rig } = apt
  const missing = await runUpgrade(apt, check, { input: { mode: 'selected', packages: ['no-such-package'] } })
  check(
    `a missing package: ${missing.state} (${missing.reason})`,
    missing.state === 'failed' && /no-such-package/.test(missing.reason ?? ''),
  )

  const before = await apt.installed('fleet-demo')
  await root.offer('fleet-demo', '8.0')
  const pool = join(root.directory, 'srv/repo/pool')
  const deb = join(pool, readdirSync(pool).find((name) => name.startsWith('fleet-demo_8.0')) ?? '')
  const whole = readFileSync(deb)
  writeFileSync(deb, Buffer.concat([whole.subarray(0, -8), Buffer.alloc(8, 0x55)]))
  const forged = await runUpgrade(apt, check)
  check(
    `a package with a wrong hash: ${forged.state} (${forged.reason})`,
    forged.state === 'failed' && /hash/i.test(forged.reason ?? ''),
  )
  check('the forged package is not installed', (await apt.installed('fleet-demo')) === before)
  writeFileSync(deb, whole)

  await root.run(['apt-mark', 'hold', 'fleet-demo'])
  const held = await runUpgrade(apt, check)
  check(
    `a held package: ${held.state}, ${JSON.stringify(held.result)}`,
    held.state === 'succeeded' && /"fleet-demo","reason":"held"/.test(JSON.stringify(held.result)),
  )
  check('the held package stays', (await apt.installed('fleet-demo')).replace(/^hold/, 'install') === before)
  await root.run(['apt-mark', 'unhold', 'fleet-demo'])

  const release = join(root.directory, 'srv/repo/Release')
  const fresh = readFileSync(release)
  appendFileSync(release, 'Valid-Until: Mon, 01 Jan 2024 00:00:00 UTC\n')
  const { id } = await rig.patient.submit(aptAgentId, 'os-updates.refresh', {}, `refresh-${cases++}`)
  const expired = await apt.finished(id)
  check(
    `an expired index: ${expired.state} (${expired.reason})`,
    expired.state === 'failed' && /expired|not valid/i.test(expired.reason ?? ''),
  )
  writeFileSync(release, fresh)
  const last = await runUpgrade(apt, check)
  check(
    `the run after it: ${last.state}`,
    last.state === 'succeeded' && (await apt.installed('fleet-demo')).endsWith(' 8.0'),
  )
}

let cases = 0

async function killedAgent(apt: AptRig, check: Check, lab: Lab): Promise<void> {
  // The agent's command line is the same inside the root: what a postinst that restarts the service would do to it.
  await apt.root.offer('fleet-demo', '9.0', { scripts: { postinst: killAgentScript } })
  const id = await apt.upgrade()
  const isGone = async (): Promise<boolean> => (await apt.rig.client.agent(aptAgentId))?.status === 'offline'
  await apt.rig.client.until('the agent to be killed', isGone, 60_000)
  lab.note('the agent was killed')
  apt.startAgentAgain()
  const command = await apt.finished(id)
  check(
    `a script that kills the agent: ${command.state} (${command.reason})`,
    command.state === 'succeeded' && (await apt.installed('fleet-demo')).endsWith(' 9.0'),
  )
}

const killAgentScript = `for p in /proc/[0-9]*; do
  if tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q 'agent/main.js $'; then
    [ "$(readlink $p/root)" = "/" ] && kill -9 \${p#/proc/}
  fi
done
sleep 1`

const all = [questions, hangingScript, failingScript, archiveTrouble, killedAgent]
