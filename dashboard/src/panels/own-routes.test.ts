import { describe, expect, test } from 'vitest'
import { routePath } from './own-routes.ts'

describe('a panel', () => {
  test.each([
    ['rollouts', 'plugins/agent-update/rollouts'],
    ['rollouts/3f/halt', 'plugins/agent-update/rollouts/3f/halt'],
    ['agents/web-01.example.com', 'plugins/agent-update/agents/web-01.example.com'],
    ['logs/%2Fvar%2Flog', 'plugins/agent-update/logs/%2Fvar%2Flog'],
    ['a..b', 'plugins/agent-update/a..b'],
  ])('reaches its own route %s', (path, expected) => {
    expect(routePath('agent-update', path)).toBe(expected)
  })

  test.each([
    '..',
    '../metrics/agents',
    'a/../../metrics',
    './a',
    'a/%2e%2e/%2E%2E/users',
    'a/.%2e/b',
    '/api/users',
    '//elsewhere.example.com/x',
    'https://elsewhere.example.com',
    'a\\..\\b',
    'a?role=admin',
    'a#b',
    'a b',
    'a/',
    '',
    '%zz',
  ])('does not leave them by %j', (path) => {
    expect(() => routePath('agent-update', path)).toThrow(
      expect.objectContaining({ code: 'FLT_PANEL_ROUTE' }),
    )
  })

  test.each(['', '..', 'a/b', 'Agent'])('that is no plugin (%j) has none', (plugin) => {
    expect(() => routePath(plugin, 'rollouts')).toThrow()
  })
})
