import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'

let fleet: TestFleet

beforeAll(async () => {
  fleet = await startTestFleet({ ...builtIns, agents: ['vm-01'] })
})
afterAll(() => fleet?.stop())

const file = (name: string): string => join(fleet.dataDir, 'agents', 'vm-01', name)
async function outcome(command: string, input: object = {}): Promise<string> {
  const { id } = await fleet.client.submit('vm-01', command, input)
  const { state, reason = '' } = await fleet.client.finished(id)
  return `${state}: ${reason}`
}

describe("the owner of a machine has the last word, in spite of the server's admin", () => {
  test('observe: looking is allowed, changing is refused by name of the rule', async () => {
    writeFileSync(file('policy.yaml'), 'mode: observe\n', { mode: 0o644 })
    expect(await outcome('sudo-check.check')).toMatch(/^succeeded/)
    expect(await outcome('apt-upgrade.run', { mode: 'security' })).toMatch(/^rejected: policy: rule "mode"/)
  })

  test('security-only: an upgrade of everything is refused', async () => {
    writeFileSync(file('policy.yaml'), 'mode: security-only\n')
    expect(await outcome('apt-upgrade.run', { mode: 'all' })).toMatch(/^rejected: policy: rule "mode"/)
  })

  test('commands: what is not listed is refused', async () => {
    writeFileSync(file('policy.yaml'), 'commands: { sudo-check: [check] }\n')
    expect(await outcome('os-updates.refresh')).toMatch(/^rejected: policy: rule "commands"/)
    expect(await outcome('sudo-check.check')).toMatch(/^succeeded/)
  })

  test('the kill switch stops everything, a broken policy too, and both are over at once', async () => {
    writeFileSync(file('kill-switch'), '')
    expect(await outcome('sudo-check.check')).toMatch(/^rejected: policy: rule "kill-switch"/)
    rmSync(file('kill-switch'))
    writeFileSync(file('policy.yaml'), 'mode: nonsense\n')
    expect(await outcome('sudo-check.check')).toMatch(/^rejected: policy: rule "file"/)
    rmSync(file('policy.yaml'))
    expect(await outcome('sudo-check.check')).toMatch(/^succeeded/)
  })
})
