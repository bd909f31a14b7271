import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { metrics } from '@fleetupdate/plugin-metrics/contract'
import type { FactContext } from '@fleetupdate/sdk/executor'
import { Compile } from 'typebox/compile'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createSampler } from './sampler.ts'

const fixtures = join(import.meta.dirname, 'fixtures')
const check = Compile(metrics.facts.sample)
let root: string

const contextOf = (folder: string): FactContext =>
  ({
    root: folder,
    readFile: (path: string) => readFile(folder + path, 'utf8').catch(() => undefined),
  }) as unknown as FactContext

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'metrics-'))
  await cp(fixtures, root, { recursive: true })
  for (const folder of ['home', 'mnt/with blank']) await mkdir(join(root, folder), { recursive: true })
})
afterEach(() => rm(root, { recursive: true }))

describe('the sampler', () => {
  test('says nothing about CPU and network in its first round', async () => {
    const sample = await createSampler()(contextOf(root))
    expect(sample.cpu).toBeNull()
    expect(sample.network).toEqual({ rx: null, tx: null })
    expect(sample.cores).toBe(2)
    expect(sample.memory.total).toBe(24_684_084 * 1024)
  })

  test('tells the CPU and network of the time between two rounds', async () => {
    let clock = 0
    const collect = createSampler(() => clock)
    await collect(contextOf(root))
    clock = 60_000
    const stat = await readFile(join(root, 'proc/stat'), 'utf8')
    await writeFile(
      join(root, 'proc/stat'),
      stat.replace(/^cpu .*$/m, 'cpu  30756 0 9767 453242 2411 0 258 259 0 0'),
    )
    const dev = await readFile(join(root, 'proc/net/dev'), 'utf8')
    await writeFile(
      join(root, 'proc/net/dev'),
      dev.replace('743858557', '743918557').replace('1836988', '1836388'),
    )
    const sample = await collect(contextOf(root))
    expect(sample.cpu).toBe(25)
    expect(sample.network).toEqual({ rx: 1000, tx: 0 })
  })

  test('measures each device once, under its shortest path, the root first', async () => {
    const { disks } = await createSampler()(contextOf(root))
    expect(disks[0]?.mount).toBe('/')
    expect(disks.map((disk) => disk.mount).sort()).toEqual(['/', '/home', '/mnt/with blank'])
    for (const { used, total } of disks) expect(used).toBeLessThanOrEqual(total)
  })

  test('fits its contract and about 600 bytes', async () => {
    const collect = createSampler()
    await collect(contextOf(root))
    const sample = await collect(contextOf(root))
    expect([...check.Errors(sample)]).toEqual([])
    expect(JSON.stringify(sample).length).toBeLessThanOrEqual(600)
  })

  test('works on the machine it runs on', async () => {
    const sample = await createSampler()(contextOf(''))
    expect([...check.Errors(sample)]).toEqual([])
    expect(sample.uptime).toBeGreaterThan(0)
    expect(sample.disks.length).toBeGreaterThan(0)
  })

  test('names the file that can not be read', async () => {
    await rm(join(root, 'proc/meminfo'))
    await expect(createSampler()(contextOf(root))).rejects.toThrow('/proc/meminfo cannot be read')
  })
})
