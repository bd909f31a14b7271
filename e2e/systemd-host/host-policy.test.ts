import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from '../apt-root/create-apt-root.ts'
import { readOutput } from '../fleet/event-stream.ts'
import { aptOptions, askHelper, runRequest } from './ask-helper.ts'
import { type BootedHost, bootProblem, bootRoot } from './boot-root.ts'
import { installAsUser } from './install-as-user.ts'

const problem = aptRootProblem() ?? bootProblem()
if (problem !== undefined) console.warn(`Skipped: the policy of a booted host. ${problem}`)

const upgrade = [...aptOptions, '--with-new-pkgs', 'upgrade']
const named = (...names: string[]) => [...aptOptions, '--only-upgrade', 'install', '--', ...names]

describe.skipIf(problem !== undefined)("the owner's policy, kept by agent and helper", () => {
  let root: AptRoot
  let host: BootedHost
  let fleet: TestFleet
  const file = '/var/lib/orchestrator-agent/captures/asked'

  beforeAll(async () => {
    root = await createAptRoot({ flavour: 'systemd' })
    for (const name of ['fleet-kernel', 'fleet-other', 'fleet-fixed', 'fleet-module'])
      await root.installPackage(name, '1.0')
    await root.offer('fleet-kernel', '2.0')
    await root.offer('fleet-other', '2.0')
    await root.offer('fleet-fixed', '1.1', { repository: 'security' })
    await root.offer('fleet-module', '2.0', { depends: ['fleet-kernel (>= 2.0)'] })
    fleet = await startTestFleet({ agents: [] })
    await installAsUser(root, { id: 'owned', url: fleet.url })
    host = await bootRoot(root)
    host.run(['systemctl', 'start', 'orchestrator-helper.socket', 'orchestrator-agent'])
    await fleet.client.until(
      'the agent',
      async () => (await fleet.client.agent('owned'))?.status === 'online',
    )
    host.run(['install', '-d', '-o', 'orchestrator', '-m', '0700', '/var/lib/orchestrator-agent/captures'])
    host.run(['install', '-o', 'orchestrator', '-m', '0600', '/dev/null', file])
  })

  afterAll(async () => {
    await host?.powerOff()
    await fleet?.stop()
    await root?.dispose()
  })

  const policyFile = () => join(root.directory, 'etc/orchestrator-agent/policy.yaml')
  const policy = (text: string): void => writeFileSync(policyFile(), text, { mode: 0o644 })
  const outcome = async (command: string, input: object = {}) => {
    const { id } = await fleet.client.submit('owned', command, input)
    const { text } = await readOutput(`${fleet.url}/api/commands/${id}/stream`, fleet.client)
    return { ...(await fleet.client.finished(id)), text }
  }
  const asAgent = (privilege: string, args: readonly string[]): string =>
    askHelper(host, 'orchestrator', [runRequest('apt-upgrade', privilege, args, file)])[0] ?? ''

  test('packages: what would bring an excluded one along is refused, whatever the agent says', () => {
    policy("packages: { exclude: ['*-kernel'] }\n")
    const rule = /"refused":"rule \\"packages\\": fleet-kernel is never changed.*"policy":true/
    expect(asAgent('upgrade-all', upgrade)).toMatch(rule)
    expect(asAgent('download-all', [...aptOptions, '--download-only', '--with-new-pkgs', 'upgrade'])).toMatch(
      rule,
    )
    expect(asAgent('upgrade-selected', named('fleet-kernel'))).toMatch(rule)
    expect(asAgent('upgrade-selected', named('fleet-other', 'fleet-module'))).toMatch(rule)
    expect(asAgent('repair-dpkg', ['--force-confdef', '--force-confold', '--configure', '-a'])).toContain(
      '"exitCode":0',
    )
  })

  test('security-only: only names with a security fix pass the helper', () => {
    policy('mode: security-only\n')
    const rule = /"refused":"rule \\"mode\\": .*"policy":true/
    expect(asAgent('upgrade-all', upgrade)).toMatch(rule)
    expect(asAgent('upgrade-selected', named('fleet-other'))).toMatch(rule)
    expect(asAgent('upgrade-selected', named('fleet-fixed', 'fleet-other'))).toMatch(rule)
    expect(
      asAgent('download-selected', [
        ...aptOptions,
        '--download-only',
        '--only-upgrade',
        'install',
        '--',
        'fleet-fixed',
      ]),
    ).toContain('"exitCode":0')
    expect(asAgent('upgrade-selected', named('fleet-fixed'))).toContain('"exitCode":0')
    // Now there is no fix pending any more.
    expect(asAgent('upgrade-selected', named('fleet-fixed'))).toMatch(rule)
  })

  test('an upgrade of everything goes around what is excluded, and says so', async () => {
    policy("packages: { exclude: ['*-kernel'] }\n")
    const plan = await outcome('apt-upgrade.plan', { mode: 'all' })
    const left = [
      { name: 'fleet-kernel', reason: 'policy' },
      { name: 'fleet-module', reason: 'policy' },
    ]
    expect(plan.result).toMatchObject({ kept: left })
    const done = await outcome('apt-upgrade.run', { mode: 'all' })
    expect(done, done.reason).toMatchObject({ state: 'succeeded', result: { kept: left } })
    expect((done.result as { packages: { name: string }[] }).packages.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['fleet-other']),
    )
    expect(done.text).toContain('fleet-kernel  stays: excluded by this machine\'s policy, rule "packages"')
    expect(host.run(['dpkg-query', '--show', 'fleet-kernel', 'fleet-module']).stdout).toBe(
      'fleet-kernel\t1.0\nfleet-module\t1.0\n',
    )
    const named = await outcome('apt-upgrade.run', { mode: 'selected', packages: ['fleet-kernel'] })
    expect(named).toMatchObject({ state: 'succeeded', result: { packages: [], kept: [left[0]] } })
  })

  test('a refusal of the helper in the middle of a command is the policy, not a failure', async () => {
    policy('mode: security-only\n')
    // As an executor would be whose contract promises less than its privileges do.
    const manifest = join(root.directory, 'opt/orchestrator/agent/current/executors/os-updates/package.json')
    const text = readFileSync(manifest, 'utf8')
    expect(text).toContain('"effect": "security"')
    writeFileSync(manifest, text.replace('"effect": "security"', '"effect": "change"'))
    expect(await outcome('os-updates.refresh')).toMatchObject({
      state: 'rejected',
      reason: 'policy: rule "mode": this machine takes security changes alone.',
    })
    writeFileSync(manifest, text)
    expect((await outcome('os-updates.refresh')).state).toBe('succeeded')
    rmSync(policyFile())
    host.run(['touch', '/etc/orchestrator-agent/kill-switch'])
    expect(await outcome('os-updates.refresh')).toMatchObject({
      state: 'rejected',
      reason: expect.stringContaining('rule "kill-switch"'),
    })
    host.run(['rm', '/etc/orchestrator-agent/kill-switch'])
  })

  test("what decides lies where the agent's user can neither write nor rename", () => {
    const decides = [
      '/etc/orchestrator-agent',
      '/etc/orchestrator-agent/config.yaml',
      '/opt/orchestrator',
      '/opt/orchestrator/agent',
      '/opt/orchestrator/agent/current',
      '/opt/orchestrator/agent/current/root-helper',
      '/opt/orchestrator/agent/current/main.js',
      '/opt/orchestrator/agent/current/executors',
      '/opt/orchestrator/agent/current/executors/apt-upgrade',
      '/opt/orchestrator/agent/current/executors/apt-upgrade/package.json',
      '/opt/orchestrator/agent/current/executors/apt-upgrade/dist/executor.js',
      '/run/orchestrator-helper',
      '/etc/systemd/system/orchestrator-helper@.service',
      '/var/lib',
    ]
    const asUser = (script: string): number =>
      host.run(['runuser', '-u', 'orchestrator', '--', 'sh', '-c', script]).exitCode
    for (const path of decides) {
      expect(asUser(`test -w ${path}`), `write ${path}`).not.toBe(0)
      expect(asUser(`mv -T ${path} ${path}.moved`), `rename ${path}`).not.toBe(0)
    }
    for (const folder of [
      '/etc/orchestrator-agent',
      '/run/orchestrator-helper',
      '/opt/orchestrator/agent/current',
    ])
      expect(asUser(`touch ${folder}/new`), `create in ${folder}`).not.toBe(0)
  })
})
