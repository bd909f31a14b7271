import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from '../apt-root/create-apt-root.ts'
import { readOutput, readStream } from '../fleet/event-stream.ts'
import { type BootedHost, bootProblem, bootRoot } from './boot-root.ts'
import { installAsUser } from './install-as-user.ts'

const problem = aptRootProblem() ?? bootProblem()
if (problem !== undefined) console.warn(`Skipped: the agent behind the helper's socket. ${problem}`)

const ownNode = '/opt/orchestrator/agent/current/node/bin/node'

describe.skipIf(problem !== undefined)('an agent in its sandbox, with root behind a socket', () => {
  let root: AptRoot
  let host: BootedHost
  let fleet: TestFleet

  beforeAll(async () => {
    root = await createAptRoot({ flavour: 'systemd' })
    await root.installPackage('fleet-demo', '1.0')
    fleet = await startTestFleet({ agents: [] })
    await installAsUser(root, { id: 'walled', url: fleet.url })
    host = await bootRoot(root)
    // A Node of its own, as where the distribution's is too old: the one of this root is a mount, which cannot be replaced.
    host.run(['install', '-D', '/usr/local/bin/node', ownNode])
    expect(host.run(['systemctl', 'enable', '--now', 'orchestrator-helper.socket']).stderr).not.toContain(
      'Failed',
    )
    host.run(['systemctl', 'start', 'orchestrator-agent'])
    await fleet.client.until('the agent', async () => (await agent())?.status === 'online')
  })

  afterAll(async () => {
    await host?.powerOff()
    await fleet?.stop()
    await root?.dispose()
  })

  const agent = () => fleet.client.agent('walled')
  const show = (unit: string, property: string): string =>
    host.run(['systemctl', 'show', '--value', `--property=${property}`, unit]).stdout.trim()

  test('runs without capabilities and without new privileges, is ready and watched', async () => {
    const pid = show('orchestrator-agent', 'MainPID')
    const status = host.run(['cat', `/proc/${pid}/status`]).stdout
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
    expect(status).toMatch(/^CapBnd:\s+0+$/m)
    expect(status).toMatch(/^Seccomp:\s+2$/m)
    expect(show('orchestrator-agent', 'SubState')).toBe('running')
    expect(show('orchestrator-agent', 'WatchdogUSec')).toBe('2min')
    await fleet.client.until('its status', async () =>
      show('orchestrator-agent', 'StatusText').startsWith('Connected'),
    )
    expect(Number(show('orchestrator-agent', 'WatchdogTimestampMonotonic'))).toBeGreaterThan(0)
  })

  test('every privilege works, with nothing in sudoers', async () => {
    await fleet.client.until('all privileges', async () => (await agent())?.facets['sudo-check.ok'] === true)
  })

  test.each([
    ['nothing else', '', '2.0'],
    ['the agent is restarted', 'systemctl restart --no-block orchestrator-agent', '3.0'],
    ['systemd re-executes itself', 'systemctl daemon-reexec', '4.0'],
    ['dbus is restarted', 'systemctl restart --no-block dbus', '5.0'],
    [
      'node is replaced',
      `cp ${ownNode} ${ownNode}.new && mv ${ownNode}.new ${ownNode} && systemctl restart --no-block orchestrator-agent`,
      '6.0',
    ],
    ['the door is closed and opened', 'systemctl restart orchestrator-helper.socket', '7.0'],
    ['everything of the helper is stopped', "systemctl stop --no-block 'orchestrator-helper@*'", '8.0'],
  ])(
    'an upgrade outlives it when %s by the very package that is installed',
    async (_title, script, version) => {
      const { client } = fleet
      await root.offer('fleet-demo', version, {
        slowSeconds: 2,
        ...(script ? { scripts: { preinst: script } } : {}),
      })
      const command = await client.submit('walled', 'apt-upgrade.run', { mode: 'all' })
      let owners = ''
      const messages = new Set<string>()
      for await (const { event, data } of readStream(
        `${fleet.url}/api/commands/${command.id}/stream`,
        client,
      )) {
        if (event === 'output' && data.includes('Unpacking'))
          owners = host.run(['systemctl', 'show', '--property=User', `fleetupdate-${command.id}-1`]).stdout
        if (event === 'state')
          messages.add((JSON.parse(data) as { progress?: { message?: string } }).progress?.message ?? '')
      }
      const done = await client.finished(command.id)
      expect(done, done.reason).toMatchObject({
        ...{ state: 'succeeded', exitCode: 0 },
        result: { packages: [expect.objectContaining({ name: 'fleet-demo', to: version })] },
      })
      expect(owners).toContain('User=orchestrator')
      const { text } = await readOutput(`${fleet.url}/api/commands/${command.id}/stream`, client)
      expect(text).toContain(`Setting up fleet-demo (${version})`)
      expect([...messages].join()).toMatch(/fleet-demo/)
    },
  )

  test('an upgrade outlives even its runner, and is never called over before it is', async () => {
    const { client } = fleet
    await root.offer('fleet-demo', '9.0', { slowSeconds: 4 })
    const command = await client.submit('walled', 'apt-upgrade.run', { mode: 'all' })
    for await (const { event, data } of readStream(`${fleet.url}/api/commands/${command.id}/stream`, client))
      if (event === 'output' && data.includes('Unpacking'))
        host.run(['systemctl', 'kill', '--signal=KILL', '--kill-who=main', `fleetupdate-${command.id}-1`])
    expect((await client.finished(command.id)).state).toBe('interrupted')
    const { text } = await readOutput(`${fleet.url}/api/commands/${command.id}/stream`, client)
    expect(text).toContain('Setting up fleet-demo (9.0)')
    expect(readFileSync(join(root.directory, 'var/lib/dpkg/status'), 'utf8')).toMatch(
      /Package: fleet-demo\nStatus: install ok installed/,
    )
  })

  test('the facts are those of the machine, not of the sandbox', async () => {
    const { facts, factsMeta } = (await agent()) ?? { facts: {}, factsMeta: {} }
    expect(Object.keys(facts).sort()).toEqual(
      expect.arrayContaining(['metrics', 'os-updates', 'reboot', 'services', 'sudo-check']),
    )
    for (const [plugin, metas] of Object.entries(factsMeta))
      for (const [fact, meta] of Object.entries(metas))
        expect(meta.error, `${plugin}.${fact}`).toBeUndefined()
  })

  test('the journal of a unit is followed live', async () => {
    const { client } = fleet
    const command = await client.submit('walled', 'log-stream.follow', { unit: 'dbus' })
    let text = ''
    for await (const { event, data } of readStream(
      `${fleet.url}/api/commands/${command.id}/stream`,
      client,
    )) {
      if (event !== 'output') continue
      if (text === '') host.run(['systemctl', 'restart', 'dbus'])
      const before = text
      text += (JSON.parse(data) as { text: string }).text
      const stopped = /Stopp(ing|ed) dbus/
      if (stopped.test(text) && !stopped.test(before))
        await client.request('POST', `/api/commands/${command.id}/cancel`)
    }
    expect(text).toMatch(/dbus/)
  })

  test('an agent that hangs is noticed by the watchdog and started anew', async () => {
    const drop = '/etc/systemd/system/orchestrator-agent.service.d'
    host.run(['mkdir', '-p', drop])
    host.run(['tee', `${drop}/short.conf`], '[Service]\nWatchdogSec=4\n')
    host.run(['systemctl', 'daemon-reload'])
    host.run(['systemctl', 'restart', 'orchestrator-agent'])
    const since = (): number => Number(show('orchestrator-agent', 'WatchdogTimestampMonotonic'))
    const first = since()
    // It goes on living as long as it turns …
    await fleet.client.until('a second sign of life', async () => since() > first + 1_500_000)
    expect(show('orchestrator-agent', 'NRestarts')).toBe('0')
    // … and not without.
    const pid = show('orchestrator-agent', 'MainPID')
    host.run(['kill', '-STOP', pid])
    await fleet.client.until('another process', async () => {
      const now = show('orchestrator-agent', 'MainPID')
      return now !== '0' && now !== pid
    })
    expect(Number(show('orchestrator-agent', 'NRestarts'))).toBeGreaterThan(0)
    await fleet.client.until('the agent', async () => (await agent())?.status === 'online')
    host.run(['rm', '-r', drop])
    host.run(['systemctl', 'daemon-reload'])
    host.run(['systemctl', 'restart', 'orchestrator-agent'])
    await fleet.client.until('the agent', async () => (await agent())?.status === 'online')
  })

  test('nobody but the agent gets an answer', () => {
    const knock = (user: string): string =>
      host.run(['runuser', '-u', user, '--', '/usr/local/bin/node', '-e', asker]).stdout
    expect(knock('nobody')).toContain('EACCES')
    expect(knock('root')).toContain('only the user who owns')
    expect(knock('orchestrator')).toContain('"privileges":[]')
  })

  test('a probe says what to do when the door is closed', async () => {
    const { client } = fleet
    host.run(['systemctl', 'stop', 'orchestrator-helper.socket'])
    const done = await client.finished((await client.submit('walled', 'sudo-check.check')).id)
    expect(JSON.stringify(done.result)).toContain('systemctl enable --now orchestrator-helper.socket')
    host.run(['systemctl', 'start', 'orchestrator-helper.socket'])
    const again = await client.finished((await client.submit('walled', 'sudo-check.check')).id)
    expect(again.result).toMatchObject({ ok: true })
  })
})

const asker = `
const socket = require('node:net').connect('/run/orchestrator-helper/helper.sock')
socket.on('error', (error) => console.log(error.code)).on('data', (data) => console.log(String(data)))
socket.write(JSON.stringify({ verb: 'probe', privileges: [] }) + '\\n')
`
