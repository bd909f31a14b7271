import { describe, expect, test } from 'vitest'
import { createRouteTable } from './route-table.ts'

describe('the table of plugin paths', () => {
  test('gives every path under /api/plugins to its plugin, and root paths to who claimed them', () => {
    const table = createRouteTable(() => ['/api/agents/:id'])
    expect(table.claim('logs', ['/api/commands/:id/stream'])).toBeUndefined()
    expect(table.owner('/api/plugins/metrics/agents/a/series')).toBe('metrics')
    expect(table.owner('/api/commands/42/stream')).toBe('logs')
    expect(table.owner('/api/commands/42')).toBeUndefined()
    table.release('logs')
    expect(table.owner('/api/commands/42/stream')).toBeUndefined()
  })

  test('refuses what the server or another plugin serves, also in another spelling', () => {
    const table = createRouteTable(() => ['/api/agents/:id'])
    expect(table.claim('a', ['/api/agents/:name'])).toContain('belongs to the server')
    expect(table.claim('a', ['/api/agents/everything'])).toContain('belongs to the server')
    expect(table.claim('a', ['/metrics'])).toBeUndefined()
    expect(table.claim('b', ['/metrics'])).toContain('already served by "a"')
    expect(table.claim('c', ['/api/plugins/a/x'])).toContain('belongs to the server')
  })
})
