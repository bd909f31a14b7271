import { expect, test } from 'vitest'
import { addressOf, createPublicPaths } from './public-urls.ts'

const paths = createPublicPaths([
  new URL('https://example.com/fleet/'),
  new URL('https://plain.example.com'),
  new URL('http://example.com:8080/a/b'),
])

test.each([
  ['example.com', '/fleet/api/agents?x=1', '/api/agents?x=1'],
  ['Example.COM', '/fleet', '/'],
  ['example.com', '/fleet?x', '/?x'],
  ['example.com', '/api/agents', '/api/agents'],
  ['example.com', '/fleeting', '/fleeting'],
  ['example.com:8080', '/a/b/api', '/api'],
  ['plain.example.com', '/fleet/api', '/fleet/api'],
  [undefined, '/fleet/api', '/fleet/api'],
])('for the host %s, %s is %s', (host, target, expected) =>
  expect(paths.withoutPrefix(host, target)).toBe(expected),
)

test('a prefix belongs to its host alone', () => {
  expect(paths.prefixFor('example.com')).toBe('/fleet')
  expect(paths.prefixFor('plain.example.com')).toBe('')
  expect(paths.prefixFor('127.0.0.1:8000')).toBe('')
})

test('addresses are told without a slash at the end', () => {
  expect(addressOf(new URL('https://example.com/fleet/'))).toBe('https://example.com/fleet')
  expect(addressOf(new URL('https://example.com'))).toBe('https://example.com')
})
