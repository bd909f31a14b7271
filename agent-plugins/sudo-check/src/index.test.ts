import type { CommandContext, PrivilegeState } from '@fleetupdate/sdk'
import { testExecutor } from '@fleetupdate/sdk/testing'
import { describe, expect, it } from 'vitest'
import executor from './index.ts'

const works = { id: 'upgrade-all', plugin: 'apt-upgrade', ok: true }
const missing = {
  id: 'refresh-index',
  plugin: 'os-updates',
  ok: false,
  missing: 'orchestrator ALL=(root) NOPASSWD: /opt/orchestrator/agent/current/root-helper ""',
}

async function check(states: readonly PrivilegeState[]) {
  const written: string[] = []
  const context = { privileges: async () => states, write: (text: string) => written.push(text) }
  const result = await executor.commands.check?.({}, context as unknown as CommandContext)
  return { result, written: written.join('') }
}

describe('sudo-check', () => {
  it('keeps to its contract', async () => {
    const report = await testExecutor(executor, { commands: { check: { input: {} } } })
    expect(report.problems).toEqual([])
    expect(report.facts).toEqual({ privileges: [] })
  })

  it('names exactly the line that is missing', async () => {
    const { result, written } = await check([missing, works])
    expect(result).toEqual({ ok: false, privileges: [works, missing] })
    expect(written).toContain('ok       apt-upgrade: upgrade-all\n')
    expect(written).toContain(missing.missing)
  })

  it('answers the same for the same states in another order', async () => {
    expect((await check([works, missing])).result).toEqual((await check([missing, works])).result)
  })

  it('is content where every privilege works', async () => {
    expect((await check([works])).result).toEqual({ ok: true, privileges: [works] })
  })

  it('has a facet that knows "not known" apart from "all works"', () => {
    const ok = executor.contract.facets.ok
    expect(ok?.({})).toBeUndefined()
    expect(ok?.({ privileges: [] })).toBeUndefined()
    expect(ok?.({ privileges: [works] })).toBe(true)
    expect(ok?.({ privileges: [works, missing] })).toBe(false)
  })
})
