import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from '../apt-root/create-apt-root.ts'
import { installAgent } from '../fleet/agent-in-root.ts'
import { readOutput, readStream } from '../fleet/event-stream.ts'
import { type BootedHost, bootProblem, bootRoot } from './boot-root.ts'

const problem = aptRootProblem() ?? bootProblem()
if (problem !== undefined) console.warn(`Skipped: the agent as a systemd service. ${problem}`)

const unit = `[Unit]
Description=FleetUpdate agent
[Service]
Environment=AGENT_CONFIG=/opt/fleetupdate/config.yaml NO_PROMPT=1
ExecStart=/usr/local/bin/node /opt/fleetupdate/agent/main.js
Restart=always
RestartSec=0.2
`

describe.skipIf(problem !== undefined)('the agent as a service of a booted host', () => {
  let root: AptRoot
  let host: BootedHost
  let fleet: TestFleet

  beforeAll(async () => {
    root = await createAptRoot({ flavour: 'systemd' })
    await root.installPackage('fleet-demo', '1.0')
    fleet = await startTestFleet({ agents: [] })
    installAgent(root, { id: 'booted', url: fleet.url, psk: 'a-secret-for-tests-0123456789' })
    mkdirSync(join(root.directory, 'etc/systemd/system'), { recursive: true })
    writeFileSync(join(root.directory, 'etc/systemd/system/orchestrator-agent.service'), unit)
    host = await bootRoot(root)
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

  test.each([
    ['the agent is restarted', 'systemctl restart --no-block orchestrator-agent', '2.0'],
    ['systemd re-executes itself', 'systemctl daemon-reexec', '3.0'],
    ['dbus is restarted', 'systemctl restart --no-block dbus', '4.0'],
  ])(
    'an upgrade outlives it when %s by the very package that is installed',
    async (_title, script, version) => {
      const { client } = fleet
      const offered = host.run(['true'])
      expect(offered.exitCode).toBe(0)
      await root.offer('fleet-demo', version, { slowSeconds: 2, scripts: { preinst: script } })
      const command = await client.submit('booted', 'apt-upgrade.run', { mode: 'all' })
      let units = ''
      for await (const { event, data } of readStream(
        `${fleet.url}/api/commands/${command.id}/stream`,
        client,
      ))
        if (event === 'output' && data.includes('Unpacking'))
          units = host.run([
            'systemctl',
            'list-units',
            '--plain',
            '--no-legend',
            `fleetupdate-${command.id}*`,
          ]).stdout
      expect(units).toContain(`fleetupdate-${command.id}`)
      const done = await client.finished(command.id)
      expect(done).toMatchObject({
        state: 'succeeded',
        exitCode: 0,
        result: { packages: [expect.objectContaining({ to: version })] },
      })
      const { text } = await readOutput(`${fleet.url}/api/commands/${command.id}/stream`, client)
      expect(text).toContain(`Setting up fleet-demo (${version})`)
    },
  )

  test('the journal of a unit is followed live until it is cancelled', async () => {
    const { client } = fleet
    const command = await client.submit('booted', 'log-stream.follow', { unit: 'dbus' })
    let text = ''
    let ended = false
    for await (const { event, data } of readStream(
      `${fleet.url}/api/commands/${command.id}/stream`,
      client,
    )) {
      if (event === 'end') ended = true
      if (event !== 'output') continue
      if (text === '') host.run(['systemctl', 'restart', 'dbus'])
      const before = text
      text += (JSON.parse(data) as { text: string }).text
      const stopped = /Stopp(ing|ed) dbus/
      if (stopped.test(text) && !stopped.test(before))
        await client.request('POST', `/api/commands/${command.id}/cancel`)
    }
    expect(ended).toBe(true)
    expect((await client.finished(command.id)).state).toBe('cancelled')
  })
})
