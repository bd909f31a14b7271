import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { assertDatabaseNotLost } from './lost-database.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fleetupdate-lost-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('an empty folder begins anew; one that lost its database does not', () => {
  expect(() => assertDatabaseNotLost(dir)).not.toThrow()
  writeFileSync(join(dir, 'core.db'), '')
  expect(() => assertDatabaseNotLost(dir)).not.toThrow()
  writeFileSync(join(dir, 'audit-checkpoints.jsonl'), '{}\n')
  expect(() => assertDatabaseNotLost(dir)).toThrow(/missing or empty.*audit-checkpoints/)
  writeFileSync(join(dir, 'core.db'), 'x')
  expect(() => assertDatabaseNotLost(dir)).not.toThrow()
})

test('the database of a plugin shows that there was one', () => {
  mkdirSync(join(dir, 'plugins-data'))
  writeFileSync(join(dir, 'plugins-data/metrics.db'), 'x')
  expect(() => assertDatabaseNotLost(dir)).toThrow(/metrics\.db shows/)
})
