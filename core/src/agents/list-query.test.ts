import { describe, expect, test } from 'vitest'
import type { AgentEntry } from './fleet-index.ts'
import { firstAfter, type Matches, type Position, parseFilter, parseSearch, parseSort } from './list-query.ts'

const names = new Map([
  ['os.outdated', { qualified: 'os.outdated' }],
  ['outdated', { qualified: 'os.outdated' }],
  ['os.pending', { qualified: 'os.pending' }],
  ['os.name', { qualified: 'os.name' }],
])
const entry = (id: string, facets: AgentEntry['facets'] = {}, online = false): AgentEntry => ({
  id,
  generation: 1,
  enrolledAt: 0,
  revoked: false,
  quarantine: undefined,
  online,
  lastSeenMs: null,
  facets,
})
const fleet = [
  entry('a', { 'os.outdated': true, 'os.pending': 10, 'os.name': 'Debian' }, true),
  entry('b', { 'os.outdated': false, 'os.pending': 0 }),
  entry('c', { 'os.outdated': null, 'os.pending': null }),
  entry('d', { 'os.outdated': true, 'os.pending': 9 }),
]
const all: Matches = () => true
const ids = (entries: readonly AgentEntry[]) => entries.map(({ id }) => id).join('')

describe('filters', () => {
  test.each([
    ['', 'abcd'],
    ['all', 'abcd'],
    ['online', 'a'],
    ['offline', 'bcd'],
    ['os.outdated', 'ad'],
    ['outdated', 'ad'],
    ['!outdated', 'b'],
    ['os.pending', 'ad'],
    ['os.pending=0', 'b'],
    ['!os.pending=9', 'ab'],
    ['os.name=Debian', 'a'],
  ])('%s shows %s', (filter, expected) => {
    expect(ids(fleet.filter(parseFilter(filter, names)))).toBe(expected)
  })

  test('that nobody knows are refused with the names that are known', () => {
    expect(() => parseFilter('nothing', names)).toThrow(
      'Known: all, online, offline, quarantined, os.outdated',
    )
    expect(() => parseSort('-nothing', names)).toThrow('There is no sort "nothing"')
  })

  test('a search looks at ids and text facets', () => {
    expect(ids(fleet.filter(parseSearch('DEB')))).toBe('a')
    expect(ids(fleet.filter(parseSearch(' c ')))).toBe('c')
  })
})

describe('sorting', () => {
  test.each([
    [undefined, 'abcd'],
    ['-id', 'dcba'],
    ['os.pending', 'bdac'],
    ['-os.pending', 'adbc'],
    ['-status', 'abcd'],
  ])('by %s gives %s, with the unknown last', (sort, expected) => {
    expect(ids(firstAfter(fleet, all, parseSort(sort, names), undefined, 10))).toBe(expected)
  })

  test('pages cover every agent once, whatever the order', () => {
    const many = Array.from({ length: 997 }, (_, i) =>
      entry(`agent-${(i * 7919) % 997}`, { 'os.pending': i % 5 === 0 ? null : i % 13 }),
    )
    for (const sort of ['id', '-id', 'os.pending', '-os.pending']) {
      const order = parseSort(sort, names)
      const seen: string[] = []
      let after: Position | undefined
      for (;;) {
        const page = firstAfter(many, all, order, after, 50)
        const last = page.at(-1)
        if (!last) break
        seen.push(...page.map(({ id }) => id))
        after = { value: order.value(last), id: last.id }
      }
      expect(seen).toHaveLength(997)
      expect(new Set(seen).size).toBe(997)
    }
  })
})
