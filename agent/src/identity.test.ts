import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { assertConfigured, createIdentityStore } from './identity.ts'
import type { PendingEnrolment } from './schemas.ts'
import { lockState } from './state-lock.ts'

const dir = mkdtempSync(join(tmpdir(), 'agent-identity-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const key = Buffer.alloc(32, 7).toString('base64url')
const pending: PendingEnrolment = {
  ...{ agentId: 'vm-1', secretId: 'psk', enrolmentId: 'e', kid: 'k1' },
  ...{ agentKey: key, serverKey: key, rootKey: key, confirmation: key },
}

describe('the identity', () => {
  test('is adopted from a pending enrolment, readable by its owner alone', async () => {
    const store = createIdentityStore(dir)
    expect(await store.load()).toBeUndefined()
    await store.savePending(pending)
    expect(await store.pending()).toEqual(pending)
    await store.adopt(pending)
    expect(await store.load()).toEqual({ agentId: 'vm-1', kid: 'k1', root: Buffer.alloc(32, 7) })
    expect(existsSync(join(dir, 'enrolment.json'))).toBe(false)
    expect(statSync(join(dir, 'identity.json')).mode & 0o777).toBe(0o600)
  })

  test('is not taken for another than the configured one', () => {
    const identity = { agentId: 'vm-1', kid: 'k1', root: Buffer.alloc(32) }
    expect(() => assertConfigured(identity, undefined)).not.toThrow()
    expect(() => assertConfigured(identity, 'vm-2')).toThrow(/says agent\.id "vm-2".*enrolled as "vm-1"/)
  })

  test('is never replaced silently where it is damaged', async () => {
    const before = readFileSync(join(dir, 'identity.json'))
    writeFileSync(join(dir, 'identity.json'), before.subarray(0, 20))
    await expect(createIdentityStore(dir).load()).rejects.toMatchObject({
      code: 'FLT_AGENT_IDENTITY_DAMAGED',
    })
  })
})

describe('the lock of a state folder', () => {
  test('keeps a second agent out, and is taken over from one that is gone', async () => {
    const state = join(dir, 'state')
    const unlock = await lockState(state, process.pid)
    await expect(lockState(state, process.pid)).rejects.toMatchObject({ code: 'FLT_AGENT_RUNNING' })
    await unlock()
    writeFileSync(join(state, 'agent.lock'), JSON.stringify({ pid: 4_000_000, startTicks: '1', bootId: 'x' }))
    await (await lockState(state, process.pid))()
  })

  test('says what is wrong with a folder that cannot be used', async () => {
    writeFileSync(join(dir, 'a-file'), '')
    await expect(lockState(join(dir, 'a-file', 'state'), process.pid)).rejects.toMatchObject({
      code: 'FLT_AGENT_STATE_DIR',
    })
  })
})
