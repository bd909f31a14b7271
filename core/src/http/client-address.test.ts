import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { createClientAddress, readProxies } from './client-address.ts'

const ask = (remoteAddress: string, forwarded?: string) =>
  createClientAddress(readProxies(['127.0.0.1', '10.0.0.0/24', 'fd00::/8']))({
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    socket: { remoteAddress } as IncomingMessage['socket'],
  })

describe('the address of a client', () => {
  test.each([
    [
      'is the other end, where that is no proxy, whatever it claims',
      '192.0.2.9',
      '198.51.100.1',
      '192.0.2.9',
    ],
    ['is the other end, where a proxy says nothing', '127.0.0.1', undefined, '127.0.0.1'],
    ['is what the proxy added last', '127.0.0.1', '6.6.6.6, 192.0.2.9', '192.0.2.9'],
    ['lies before a chain of known proxies', '127.0.0.1', '6.6.6.6, 192.0.2.9, 10.0.0.7', '192.0.2.9'],
    ['is known inside IPv6 too', '::ffff:127.0.0.1', '192.0.2.9', '192.0.2.9'],
    ['can be IPv6, with brackets and port', 'fd00::1', '[2001:db8::9]:443', '2001:db8::9'],
    ['has no port', '127.0.0.1', '192.0.2.9:5123', '192.0.2.9'],
    ['is the proxy, where it writes what is no address', '127.0.0.1', 'nonsense', '127.0.0.1'],
    ['is the last proxy, where all are known', '127.0.0.1', '10.0.0.7', '10.0.0.7'],
  ])('%s', (_, remote, forwarded, expected) => expect(ask(remote, forwarded)).toBe(expected))

  test('is never taken from a header where no proxy is named', () => {
    const request = { headers: { 'x-forwarded-for': '6.6.6.6' }, socket: { remoteAddress: '127.0.0.1' } }
    expect(createClientAddress(undefined)(request as never)).toBe('127.0.0.1')
  })
})

test.each(['10.0.0.0/33', '10.0.0', 'proxy.example.com', '10.0.0.0/8/8', '::/129', '10.0.0.0/-1'])(
  '%s is no proxy',
  (text) => expect(readProxies([text])).toBeUndefined(),
)
