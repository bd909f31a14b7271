import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import type { FleetClient } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import { type Machine, traces } from './machine.ts'
import { networkProblem } from './network.ts'
import { type SmallFleet, startSmallFleet } from './small-fleet.ts'

const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'
const faketime = existsSync(library) ? undefined : 'a wrong clock needs faketime: apt-get install faketime'
const problem = aptRootProblem() ?? bootProblem() ?? networkProblem() ?? faketime
if (problem !== undefined) console.warn(`Skipped: machines whose clock is wrong. ${problem}`)

const hour = 3600
const years = 10 * 365 * 24 * hour
const units = ['orchestrator-agent', 'orchestrator-helper@']

/** As the processes of a machine see it whose clock is off. A booted container shares the kernel's own clock with this machine. */
const clock = (seconds: number): Record<string, string> => ({
  LD_PRELOAD: '/usr/local/lib/libfaketime.so.1',
  FAKETIME: `${seconds < 0 ? '' : '+'}${seconds}`,
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  FAKETIME_DISABLE_SHM: '1',
})

describe.skipIf(problem !== undefined)('a machine whose clock is wrong', () => {
  let fleet: SmallFleet
  let server: Machine
  let vm: Machine
  let client: FleetClient
  let id = ''

  const setClock = (seconds: number): void => {
    const settings = Object.entries(clock(seconds)).map(([key, value]) => `Environment=${key}=${value}`)
    for (const unit of units) {
      const folder = `/run/systemd/system/${unit}.service.d`
      const text = ['[Service]', ...settings, ''].join('\n')
      vm.paste(`mkdir -p ${folder} && printf %s "$TEXT" >${folder}/clock.conf`, { TEXT: text })
    }
    vm.run(['systemctl', 'daemon-reload'])
  }
  const restart = (): void => {
    vm.run(['systemctl', 'restart', 'orchestrator-agent'])
  }
  /** As its own user: root would give the program a clean environment, and with it the right clock. */
  const doctor = (seconds: number): string => {
    const env = Object.entries(clock(seconds)).map(([key, value]) => `${key}=${value}`)
    return vm.run(['runuser', '-u', 'orchestrator', '--', 'env', ...env, 'fleetupdate-agent', 'doctor'])
      .stdout
  }
  const online = (): Promise<unknown> =>
    client.until('the agent', async () => (await client.agent(id))?.status === 'online', 60_000)
  // sudo would take the wrong clock away.
  const pastedLine = async (): Promise<string> => (await fleet.invitation(id)).replace(/\| sudo sh$/, '| sh')
  /** Facts are told anew, also when the clock went back. */
  const pending = (what: string, count: number): Promise<unknown> =>
    client.until(what, async () => {
      const updates = (await client.agent(id))?.facts['os-updates']?.updates as
        | { pending: unknown[] }
        | undefined
      return updates?.pending.length === count
    })
  /** An upgrade from one version to the next: what is planned, run and told depends on no clock. */
  const upgrades = async (version: string): Promise<void> => {
    await vm.root.offer('fleet-demo', version)
    await client.finished((await client.submit(id, 'os-updates.refresh')).id)
    await pending('the update', 1)
    const begun = Date.now()
    const command = await client.submit(id, 'apt-upgrade.run', { mode: 'all' })
    const done = await client.finished(command.id)
    expect(done).toMatchObject({
      state: 'succeeded',
      result: { packages: [expect.objectContaining({ to: version })] },
    })
    const tookMs = Date.parse(done.finishedAt ?? '') - Date.parse(done.startedAt ?? '')
    expect(tookMs).toBeGreaterThan(0)
    expect(tookMs).toBeLessThan(Date.now() - begun + 1000)
    expect(Math.abs(Date.parse(done.startedAt ?? '') - begun)).toBeLessThan(60_000)
    await pending('no update', 0)
    const observedAt = (await client.agent(id))?.factsMeta['os-updates']?.updates?.observedAt ?? ''
    expect(Math.abs(Date.parse(observedAt) - Date.now())).toBeLessThan(120_000)
  }

  beforeAll(async () => {
    fleet = await startSmallFleet()
    ;({ server, vm, client } = fleet)
    copyFileSync(library, join(vm.root.directory, 'usr/local/lib/libfaketime.so.1'))
    await vm.root.installPackage('fleet-demo', '1.0')
  })

  afterAll(() => fleet?.remove())

  test.each([
    ['ten-years-behind', -years, '2.0'],
    ['ten-years-ahead', years, '3.0'],
    ['an-hour-behind', -hour, '4.0'],
    ['an-hour-ahead', hour, '5.0'],
  ])('%s is installed, works, and is told so by doctor', async (name, seconds, version) => {
    id = name
    vm.paste('sh /opt/orchestrator/agent/current/install.sh --purge')
    expect(vm.run(['sh', '-c', traces]).stdout).toBe('')
    setClock(seconds)
    const done = vm.paste(await pastedLine(), clock(seconds))
    expect(`${done.stdout}${done.stderr}`).toContain(`The agent 0.9.1 runs as "${id}"`)
    expect(done.exitCode).toBe(0)
    await online()
    await upgrades(version)
    const said = doctor(seconds)
    const off = `${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead of'} the server`
    expect(said).toMatch(new RegExp(`warn +clock +${off}; the agent works with the server's time`))
    expect(said).toContain('→ Turn on time synchronisation: timedatectl set-ntp true')
    expect(said).not.toContain('BAD')
  })

  test('whose clock jumps while it is in the fleet goes on, there and back', async () => {
    id = 'jumping'
    vm.paste('sh /opt/orchestrator/agent/current/install.sh --purge')
    setClock(0)
    expect(vm.paste(await pastedLine())).toMatchObject({ exitCode: 0 })
    await online()
    for (const [seconds, version] of [
      [years, '6.0'] as const,
      [-years, '7.0'] as const,
      [0, '8.0'] as const,
    ]) {
      setClock(seconds)
      restart()
      await online()
      await upgrades(version)
    }
  })

  test('is told what to do where a certificate does not fit its clock', async () => {
    const folder = '/etc/orchestrator-server'
    const [certificate, key] = ['fleet.pem', 'fleet.key'].map((name) => join(fleet.releases.folder, name))
    const subject = ['-subj', `/CN=${server.address}`, '-addext', `subjectAltName=IP:${server.address}`]
    const files = ['-keyout', key ?? '', '-out', certificate ?? '']
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', ...subject, ...files],
      { stdio: 'ignore' },
    )
    for (const machine of [server, vm]) machine.give(certificate ?? '')
    server.give(key ?? '')
    const settings = `TLS_CERT_FILE=${folder}/fleet.pem\\nTLS_KEY_FILE=${folder}/fleet.key\\n`
    expect(
      server.paste(
        `install -o orchestrator -m 600 /root/fleet.pem /root/fleet.key ${folder} && printf '${settings}' >> /opt/orchestrator/.env && systemctl restart orchestrator-server`,
      ),
    ).toMatchObject({ exitCode: 0 })
    vm.paste(
      `install -o orchestrator -m 600 /root/fleet.pem /etc/orchestrator-agent/ca.pem; sed -i 's|http:|https:|; s|^agent:|agent:\\n  ca_file: /etc/orchestrator-agent/ca.pem|' /etc/orchestrator-agent/config.yaml`,
    )
    for (const seconds of [years, -years]) {
      setClock(seconds)
      vm.run(['journalctl', '--rotate'])
      restart()
      expect(doctor(seconds)).toMatch(
        /BAD +tls +the certificate of \S+ (ended on|counts only from) .*; this machine's clock says 20\d\d-.*\n +→ Where the clock is wrong, set it: timedatectl set-ntp true/,
      )
      await client.until('its own word', async () =>
        /CERT_(HAS_EXPIRED|NOT_YET_VALID), by the clock of this machine, which says 20/.test(
          vm.run(['journalctl', '-u', 'orchestrator-agent', '-n', '20', '--no-pager']).stdout,
        ),
      )
    }
  })
})
