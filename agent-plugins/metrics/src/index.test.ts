import { readFileSync } from 'node:fs'
import { testExecutor } from '@fleetupdate/sdk/testing'
import { expect, test } from 'vitest'
import executor from './index.ts'

const read = (path: string): [string, string] => [path, readFileSync(path, 'utf8')]

test('keeps to its contract on what this machine says now', async () => {
  const paths = ['stat', 'meminfo', 'loadavg', 'uptime', 'net/dev', 'mounts', 'self/mounts', 'self/mountinfo']
  const files = Object.fromEntries(paths.map((path) => read(`/proc/${path}`)))
  const report = await testExecutor(executor, { files })
  expect(report.problems).toEqual([])
  expect(report.facts.sample).toMatchObject({
    cores: expect.any(Number),
    memory: { total: expect.any(Number) },
  })
})
