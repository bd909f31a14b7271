import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseMounts } from './mounts.ts'
import { parseLoad, parseMeminfo, parseNetDev, parseStat, parseUptime } from './proc.ts'
import { cpuPercent } from './sampler.ts'

const fixture = (path: string): string => readFileSync(join(import.meta.dirname, 'fixtures', path), 'utf8')

describe('reading /proc', () => {
  test('counts waiting for disks as idle', () => {
    expect(parseStat(fixture('proc/stat'))).toEqual({
      busy: 29756 + 9767 + 258 + 259,
      total: 29756 + 9767 + 258 + 259 + 450242 + 2411,
      cores: 2,
    })
  })

  test('has no percentage where no tick passed or the counters went back', () => {
    const times = { busy: 10, total: 100, cores: 1 }
    expect(cpuPercent(times, times)).toBeNull()
    expect(cpuPercent(times, { busy: 5, total: 120, cores: 1 })).toBeNull()
    expect(cpuPercent(times, { busy: 20, total: 140, cores: 1 })).toBe(25)
  })

  test('takes free memory and caches where the kernel does not say what is available', () => {
    const old =
      'MemTotal:  1000 kB\nMemFree:  100 kB\nBuffers:  50 kB\nCached:  250 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n'
    expect(parseMeminfo(old)).toEqual({
      memory: { total: 1000 * 1024, used: 600 * 1024, available: 400 * 1024 },
      swap: { total: 10 * 1024, used: 6 * 1024 },
    })
    expect(parseMeminfo('nothing')).toBeUndefined()
  })

  test('counts only interfaces that carry traffic of their own', () => {
    const interfaces = parseNetDev(fixture('proc/net/dev'))
    expect([...interfaces.keys()]).toEqual(['enp1s0', 'wlp2s0'])
    expect(interfaces.get('wlp2s0')).toEqual({ rx: 12_345_678, tx: 87_654 })
  })

  test('leaves out pseudo, remote and repeated file systems', () => {
    expect(parseMounts(fixture('proc/self/mountinfo'))).toEqual([
      { path: '/', device: '/dev/vda' },
      { path: '/home', device: '/dev/vdb2' },
      { path: '/mnt/with blank', device: '/dev/sdb1' },
    ])
  })

  test('reads load and uptime, and refuses what has another form', () => {
    expect(parseLoad('0.30 0.23 12.15 2/90 21847\n')).toEqual([0.3, 0.23, 12.15])
    expect(parseLoad('')).toBeUndefined()
    expect(parseUptime('2395.38 4375.20\n')).toBe(2395)
    expect(parseUptime('')).toBeUndefined()
  })
})
