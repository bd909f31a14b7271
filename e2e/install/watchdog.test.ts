import { spawnSync } from 'node:child_process'
import type { FleetClient } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { repository } from '../repository.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import type { Machine } from './machine.ts'
import { networkProblem } from './network.ts'
import { type SmallFleet, startSmallFleet } from './small-fleet.ts'

const problem = aptRootProblem() ?? bootProblem() ?? networkProblem()
if (problem !== undefined) console.warn(`Skipped: services that hang. ${problem}`)

/** Keeps a Node busy for ever: its event loop never turns again. Through the inspector, which SIGUSR1 opens on its machine's loopback. */
const hang = `
const WebSocket = require('ws')
const ask = () => fetch('http://127.0.0.1:9229/json/list').then((answer) => answer.json(), () => new Promise((again) => setTimeout(again, 50)).then(ask))
ask().then(([{ webSocketDebuggerUrl }]) => {
  const socket = new WebSocket(webSocketDebuggerUrl)
  const params = { expression: 'for (;;);' }
  socket.on('open', () => socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params }), () => socket.terminate()))
})`

describe.skipIf(problem !== undefined)('a service that hangs', () => {
  let fleet: SmallFleet
  let server: Machine
  let vm: Machine
  let client: FleetClient

  const show = (machine: Machine, unit: string, property: string): string =>
    machine.run(['systemctl', 'show', '-P', property, unit]).stdout.trim()
  /** What the units ask for, but sooner: two minutes are long for a test. */
  const watchClosely = (machine: Machine, unit: string): void => {
    expect(show(machine, unit, 'WatchdogUSec')).toBe('2min')
    machine.write(`/etc/systemd/system/${unit}.service.d/soon.conf`, '[Service]\nWatchdogSec=4\n')
    expect(machine.paste(`systemctl daemon-reload && systemctl restart ${unit}`)).toMatchObject({
      exitCode: 0,
    })
    expect(show(machine, unit, 'WatchdogUSec')).toBe('4s')
  }
  /** Waits until systemd has put another process in its place, and answers what it said of the first. */
  const replaced = async (machine: Machine, unit: string, pid: string): Promise<string> => {
    // Asked for in one go: between two questions the unit can go from active to a pause without a process.
    const now = () => {
      const asked = ['systemctl', 'show', '-p', 'ActiveState,MainPID,NRestarts', unit]
      const lines = machine.run(asked).stdout.trim().split('\n')
      return Object.fromEntries(lines.map((line) => line.split('='))) as Partial<
        Record<'ActiveState' | 'MainPID' | 'NRestarts', string>
      >
    }
    const after = await client.until(
      `another process of ${unit}`,
      async () => {
        const state = now()
        return state.ActiveState === 'active' && state.MainPID !== pid && state
      },
      60_000,
    )
    expect(after).toMatchObject({ NRestarts: '1' })
    return machine.run(['journalctl', '-u', unit, '--no-pager', '-o', 'cat']).stdout
  }
  const online = (): Promise<unknown> =>
    client.until(
      'the agent',
      async () => (await client.agent('vm-01').catch(() => undefined))?.status === 'online',
      60_000,
    )

  beforeAll(async () => {
    fleet = await startSmallFleet()
    ;({ server, vm, client } = fleet)
    expect(vm.paste(await fleet.invitation('vm-01'))).toMatchObject({ exitCode: 0 })
    await vm.root.installPackage('fleet-demo', '1.0')
  })

  afterAll(() => fleet?.remove())

  test('is left alone while it works', async () => {
    watchClosely(server, 'orchestrator-server')
    watchClosely(vm, 'orchestrator-agent')
    await online()
    const pids = () => [
      show(server, 'orchestrator-server', 'MainPID'),
      show(vm, 'orchestrator-agent', 'MainPID'),
    ]
    const before = pids()
    // Three times the patience of systemd, which would have restarted them meanwhile.
    await vm.root.offer('fleet-demo', '2.0', { slowSeconds: 12 })
    const upgrade = await client.submit('vm-01', 'apt-upgrade.run', { mode: 'all' })
    expect(await client.finished(upgrade.id)).toMatchObject({ state: 'succeeded' })
    expect(pids()).toEqual(before)
  })

  test('a server whose event loop is blocked is started anew, and its agents come back', async () => {
    const pid = show(server, 'orchestrator-server', 'MainPID')
    server.run(['kill', '-USR1', pid])
    const blocked = spawnSync(
      'nsenter',
      ['-t', String(server.host.init), '-n', process.execPath, '-e', hang],
      { cwd: repository, encoding: 'utf8', timeout: 20_000 },
    )
    expect(blocked).toMatchObject({ status: 0, stderr: '' })
    expect(await replaced(server, 'orchestrator-server', pid)).toMatch(/Watchdog timeout/)
    await online()
  })

  test.each([
    ['server', () => server, 'orchestrator-server'],
    ['agent', () => vm, 'orchestrator-agent'],
  ] as const)(
    'a stopped process of the %s is replaced, and the agent is online again',
    async (_name, machine, unit) => {
      machine().run(['systemctl', 'reset-failed', unit])
      const pid = show(machine(), unit, 'MainPID')
      machine().run(['kill', '-STOP', pid])
      expect(await replaced(machine(), unit, pid)).toMatch(/Watchdog timeout/)
      await online()
      const command = await client.submit('vm-01', 'os-updates.refresh')
      expect(await client.finished(command.id)).toMatchObject({ state: 'succeeded' })
    },
  )
})
