import { httpbis } from 'http-message-signatures'
import { describe, expect, test } from 'vitest'
import { hmac } from './keys.ts'
import { contentDigest, signRequest, signResponse, verifyRequest } from './signature.ts'

const key = Buffer.alloc(32, 5)
const body = Buffer.from('{"frames":[]}')
const url = 'https://fleet.example.com/api/agent/poll?x=a%20b'
const headers = {
  host: 'fleet.example.com',
  'content-type': 'application/json',
  'content-digest': contentDigest(body),
}
const keyId = { agentId: 'vm-01', kid: 'k1' }
const created = Math.floor(Date.now() / 1000)
const nonce = 'q83vEjRWeJCrze8SNFZ4kA'
const parts = {
  method: 'POST',
  authority: 'fleet.example.com',
  path: '/api/agent/poll',
  query: '?x=a%20b',
  contentType: 'application/json',
  body,
}
const sign = async (data: Buffer): Promise<Buffer> => hmac(key, data)
const verify = async (data: Buffer, signature: Buffer): Promise<boolean> => hmac(key, data).equals(signature)

describe('the profile is RFC 9421, as another implementation understands it', () => {
  test('a request that it signs is accepted here', async () => {
    const signed = await httpbis.signMessage(
      {
        key: { id: 'vm-01/k1', alg: 'hmac-sha256', sign },
        name: 'fleet',
        fields: ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest'],
        params: ['created', 'nonce', 'alg', 'keyid', 'tag'],
        paramValues: { created: new Date(created * 1000), nonce, tag: 'fleet-agent-v1' },
      },
      { method: 'POST', url, headers },
    )
    const lower = Object.fromEntries(
      Object.entries(signed.headers).map(([name, value]) => [name.toLowerCase(), value]),
    )
    expect(verifyRequest(parts, lower, key)).toBeUndefined()
  })

  test('it accepts a request and an answer that are signed here', async () => {
    const request = {
      method: 'POST',
      url,
      headers: { ...headers, ...signRequest(parts, { created, nonce, keyId }, key) },
    }
    const config = {
      keyLookup: async () => ({ id: 'vm-01/k1', algs: ['hmac-sha256'], verify }),
    }
    expect(await httpbis.verifyMessage(config, request)).toBe(true)
    const answer = { status: 200, body, requestSignature: request.headers.signature }
    const response = { status: 200, headers: { ...signResponse(answer, { created, keyId }, key) } }
    expect(await httpbis.verifyMessage(config, response, request)).toBe(true)
    expect(
      await httpbis.verifyMessage(config, { ...response, status: 201 }, request).catch(() => false),
    ).not.toBe(true)
  })
})
