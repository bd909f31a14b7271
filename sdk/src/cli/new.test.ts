import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readManifest } from '../build/index.ts'
import { runCli } from './index.ts'

let cwd: string
let printed: string[]
const cli = (...args: string[]): Promise<number> =>
  runCli(args, { cwd, env: {}, print: (line) => void printed.push(line), confirm: async () => false })

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'cli-'))
  printed = []
})
afterEach(() => rmSync(cwd, { recursive: true, force: true }))

describe('plugin new', () => {
  test('makes one folder whose names are those of the new plugin', async () => {
    expect(await cli('plugin', 'new', 'disk-health')).toBe(0)
    expect(await readManifest(join(cwd, 'disk-health'))).toMatchObject({
      id: 'disk-health',
      title: 'Disk health',
    })
    const contract = readFileSync(join(cwd, 'disk-health/src/contract.ts'), 'utf8')
    expect(contract).toContain("export const diskHealth = defineContract('disk-health'")
    expect(contract).not.toMatch(/my-?plugin/i)
  })

  test('makes two folders in the repository, which share nothing but the contract', async () => {
    expect(await cli('plugin', 'new', 'disk-health', '--in-repository')).toBe(3)
    expect(printed.join()).toContain('FLT_CLI_NO_REPOSITORY')
    mkdirSync(join(cwd, 'plugins'))
    mkdirSync(join(cwd, 'agent-plugins'))
    expect(await cli('plugin', 'new', 'disk-health', '--in-repository')).toBe(0)
    const [plugin, executor] = [join(cwd, 'plugins/disk-health'), join(cwd, 'agent-plugins/disk-health')]
    expect(await readManifest(plugin)).not.toHaveProperty('executor')
    expect(await readManifest(executor)).toMatchObject({ executor: './dist/executor.js', programs: ['df'] })
    expect(readFileSync(join(executor, 'src/index.ts'), 'utf8')).toContain(
      "from '@fleetupdate/plugin-disk-health/contract'",
    )
    expect(existsSync(join(plugin, 'src/executor.ts'))).toBe(false)
  })

  test.each(['Disk', 'disk_health', '../disk', '', '-disk', 'a'.repeat(65)])(
    'refuses the id %j',
    async (id) => {
      expect(await cli('plugin', 'new', '--', id)).toBe(3)
      expect(printed.join()).toContain('FLT_CLI_ID')
    },
  )

  test('leaves alone what is already there', async () => {
    mkdirSync(join(cwd, 'disk-health'))
    expect(await cli('plugin', 'new', 'disk-health')).toBe(3)
    expect(printed.join()).toContain('FLT_CLI_EXISTS')
  })

  test('says how it is used where it was not understood', async () => {
    expect(await cli('plugin', 'new')).toBe(2)
    expect(await cli('plugin', 'new', 'x', '--fast')).toBe(2)
    expect(await cli('plugin', 'fly')).toBe(2)
    expect(await cli()).toBe(0)
    expect(printed.join()).toContain('plugin new ID')
  })
})
