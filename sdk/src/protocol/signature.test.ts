import { describe, expect, test } from 'vitest'
import { deriveKey } from './keys.ts'
import { deriveSessionKeys, openFrame, sealFrame } from './session.ts'
import { signRequest, signResponse, verifyRequest, verifyResponse } from './signature.ts'

const root = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
const keyId = { agentId: '01JABCDEFGHJKMNPQRSTVWXYZ0', kid: 'k1' }
const key = deriveKey(root, 'http/a2s', keyId.agentId, keyId.kid)
const request = {
  method: 'POST',
  authority: 'fleet.example.com',
  path: '/api/agent/results',
  query: '?cmd=a%20b&x=1',
  contentType: 'application/json',
  body: Buffer.from('{"hello":"wörld"}'),
}
const parameters = { created: 1767225600, nonce: 'q83vEjRWeJCrze8SNFZ4kA', keyId }

describe('the signature profile', () => {
  test('derives the published http/a2s key', () => {
    expect(key.toString('hex')).toBe('d2c17566687e1005c78ee2aad0ce78c53907411064ebde1469250776b49ced4c')
  })

  test('signs the published request to the published value', () => {
    const headers = signRequest(request, parameters, key)
    expect(headers['content-digest']).toBe('sha-256=:Ff6TbVpcSlZMjckAIoAAkmPAzAvQ8o4WZSUpqfg7LSM=:')
    expect(headers.signature).toBe('fleet=:4hSaUUCMzMsaufdzzXSV/67coNXgTO8MoxSCuRRnkAM=:')
  })

  test('accepts its own signature and refuses every changed part', () => {
    const headers = { ...signRequest(request, parameters, key) }
    expect(verifyRequest(request, headers, key)).toBeUndefined()
    for (const change of [
      { method: 'PUT' },
      { authority: 'other.example.com' },
      { path: '/api/agent/result' },
      { query: '?' },
      { contentType: 'text/plain' },
    ])
      expect(verifyRequest({ ...request, ...change }, headers, key)).toBe('signature')
    expect(verifyRequest({ ...request, body: Buffer.from('{}') }, headers, key)).toBe('digest')
    expect(verifyRequest(request, { ...headers, signature: undefined }, key)).toBe('missing')
  })

  test('refuses another spelling of the same signature, in requests and frames', () => {
    const headers = signRequest(request, parameters, key)
    // The last sign of base64 has bits that decoding ignores: `M=` and `N=` are the same bytes.
    const other = headers.signature.replace('kAM=:', 'kAN=:')
    expect(other).not.toBe(headers.signature)
    expect(verifyRequest(request, { ...headers, signature: other }, key)).toBe('signature')
    const nonce = Buffer.alloc(16).toString('base64url')
    const keys = deriveSessionKeys(root, keyId, nonce, { agent: nonce, server: nonce })
    const frame = sealFrame(keys, 'a2s', 1, '{}')
    const [, mac = ''] = frame.split(' ')
    const bytes = Buffer.from(mac, 'base64url')
    const spellings = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map((sign) => `${mac.slice(0, -1)}${sign}`)
      .filter((text) => Buffer.from(text, 'base64url').equals(bytes))
    expect(spellings).toHaveLength(4)
    const accepted = spellings.filter((text) => openFrame(keys, 'a2s', 1, `1 ${text} {}`) !== undefined)
    expect(accepted).toEqual([mac])
  })

  test('refuses parameters in another order, with another algorithm or with additions', () => {
    const headers = signRequest(request, parameters, key)
    const input = headers['signature-input']
    for (const wrong of [
      input.replace('hmac-sha256', 'hmac-sha512'),
      `${input};extra=1`,
      input.replace('"@method" "@authority"', '"@authority" "@method"'),
      input.replace(/nonce="[^"]*";/, ''),
    ])
      expect(verifyRequest(request, { ...headers, 'signature-input': wrong }, key)).toBe('malformed')
  })

  test('binds an answer to the request it answers', () => {
    const asked = signRequest(request, parameters, key).signature
    const serverKey = deriveKey(root, 'http/s2a', keyId.agentId, keyId.kid)
    const answer = { status: 200, body: Buffer.from('{}'), requestSignature: asked }
    const headers = { ...signResponse(answer, { created: 1767225600, keyId }, serverKey) }
    expect(verifyResponse(answer, headers, serverKey)).toBeUndefined()
    const other = signRequest({ ...request, path: '/other' }, parameters, key).signature
    expect(verifyResponse({ ...answer, requestSignature: other }, headers, serverKey)).toBe('signature')
    expect(verifyResponse({ ...answer, status: 404 }, headers, serverKey)).toBe('signature')
  })
})
