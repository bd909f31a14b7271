import { describe, expect, test } from 'vitest'
import { orderPlugins } from './order.ts'

const plugin = (id: string, ...dependsOn: string[]) => ({ id, dependsOn })

describe('orderPlugins', () => {
  test('starts a plugin after everything it depends on', () => {
    const { order } = orderPlugins([plugin('c', 'b'), plugin('b', 'a'), plugin('a')])
    expect(order).toEqual(['a', 'b', 'c'])
  })

  test('refuses every member of a circle, and what needs it, and keeps the rest', () => {
    const { order, refused } = orderPlugins([
      plugin('a', 'b'),
      plugin('b', 'a'),
      plugin('c', 'a'),
      plugin('d'),
    ])
    expect(order).toEqual(['d'])
    expect(refused.get('a')).toContain('a → b → a')
    expect(refused.get('b')).toContain('circle')
    expect(refused.get('c')).toContain('"a"')
  })

  test('names a dependency that is not installed', () => {
    expect(orderPlugins([plugin('a', 'nowhere')]).refused.get('a')).toContain(
      '"nowhere", which is not installed',
    )
  })
})
