import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from '../apt-root/create-apt-root.ts'
import { installAgent } from '../fleet/agent-in-root.ts'
import { type BootedHost, bootProblem, bootRoot } from '../systemd-host/boot-root.ts'

const problem = aptRootProblem() ?? bootProblem()
if (problem !== undefined) console.warn(`Skipped: reboot and services on a booted host. ${problem}`)

const service = (command: string): string => `[Service]\nExecStart=${command}\n`
const units = {
  'orchestrator-agent': `[Service]
Environment=AGENT_CONFIG=/opt/fleetupdate/config.yaml NO_PROMPT=1
ExecStart=/usr/local/bin/node /opt/fleetupdate/agent/main.js
`,
  'fleet-broken': service('/bin/false'),
  'fleet-sound': service('/bin/sleep infinity'),
}

describe.skipIf(problem !== undefined)('on a booted host', () => {
  let root: AptRoot
  let host: BootedHost
  let fleet: TestFleet

  beforeAll(async () => {
    root = await createAptRoot({ flavour: 'systemd' })
    fleet = await startTestFleet({ agents: [] })
    installAgent(root, { id: 'booted', url: fleet.url, psk: 'a-secret-for-tests-0123456789' })
    mkdirSync(join(root.directory, 'etc/systemd/system'), { recursive: true })
    for (const [name, text] of Object.entries(units))
      writeFileSync(join(root.directory, 'etc/systemd/system', `${name}.service`), text)
    host = await bootRoot(root)
    host.run(['systemctl', 'start', 'fleet-broken'])
    host.run(['systemctl', 'start', 'orchestrator-agent'])
    await fleet.client.until(
      'the agent of the booted host',
      async () => (await fleet.client.agent('booted'))?.status === 'online',
    )
  })

  afterAll(async () => {
    await host?.powerOff()
    await fleet?.stop()
    await root?.dispose()
  })

  const run = async (command: string, input: object) => {
    const { id } = await fleet.client.submit('booted', command, input)
    return fleet.client.finished(id)
  }
  const isActive = (unit: string): string => host.run(['systemctl', 'is-active', unit]).stdout.trim()

  test('failed units are reported, and a unit is started, restarted, shown and stopped', async () => {
    const view = await fleet.client.until('the failed unit', async () => {
      const agent = await fleet.client.agent('booted')
      return agent?.facts.services?.failed !== undefined && agent
    })
    expect(view.facts.services?.failed).toContainEqual({
      unit: 'fleet-broken.service',
      description: expect.any(String),
    })
    const started = await run('services.start', { unit: 'fleet-sound' })
    expect(started).toMatchObject({
      state: 'succeeded',
      result: { unit: 'fleet-sound.service', active: 'active', sub: 'running' },
    })
    expect(isActive('fleet-sound')).toBe('active')
    expect(await run('services.restart', { unit: 'fleet-sound' })).toMatchObject({ state: 'succeeded' })
    expect(await run('services.status', { unit: 'fleet-broken' })).toMatchObject({
      state: 'succeeded',
      result: { active: 'failed' },
    })
    expect(await run('services.stop', { unit: 'fleet-sound' })).toMatchObject({ state: 'succeeded' })
    expect(isActive('fleet-sound')).toBe('inactive')
    expect(await run('services.start', { unit: 'no-such-unit' })).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('There is no unit "no-such-unit"'),
    })
  })

  test('a reboot is scheduled with systemd, seen as a fact, and taken back', async () => {
    const scheduled = await run('reboot.schedule', { minutes: 60 })
    expect(scheduled, JSON.stringify(scheduled)).toMatchObject({
      state: 'succeeded',
      result: { at: expect.any(String) },
    })
    expect(host.run(['cat', '/run/systemd/shutdown/scheduled']).stdout).toContain('MODE=reboot')
    await fleet.client.until('the scheduled reboot', async () => {
      const agent = await fleet.client.agent('booted')
      return agent?.facets['reboot.scheduled'] === true
    })
    expect(await run('reboot.cancel', {})).toMatchObject({
      state: 'succeeded',
      result: { wasScheduled: true },
    })
    expect(host.run(['test', '-e', '/run/systemd/shutdown/scheduled']).exitCode).not.toBe(0)
  })
})
