import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockHolder, lockOwner, waitForLocks } from './file-locks.ts'

const program = `
import fcntl, sys
f = open(sys.argv[1], 'w')
fcntl.lockf(f, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()
`

const hasPython = spawnSync('python3', ['--version']).status === 0

const files = ['/var/lib/dpkg/lock-frontend', '/var/cache/apt/archives/lock']

describe('locks of files', () => {
  let root: string
  const readFromHost = (path: string) => readFile(path, 'utf8').catch(() => undefined)
  const context = (signal = new AbortController().signal, checkpoint = (): void => undefined) => ({
    root,
    readFile: readFromHost,
    signal,
    checkpoint,
  })

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'fleet-locks-'))
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  async function holdLock(path: string) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    const child = spawn('python3', ['-c', program, join(root, path)], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    return child
  }

  it('are free where nobody holds them', async () => {
    expect(await lockHolder(context(), files)).toBeUndefined()
  })

  it.skipIf(!hasPython)('are waited for, and the holder is named once', async () => {
    const child = await holdLock('/var/cache/apt/archives/lock')
    const told: unknown[] = []
    const waiting = waitForLocks(context(), {
      files,
      onWait(holder) {
        told.push(holder)
        child.stdin.end()
      },
    })
    await waiting
    expect(told).toEqual([{ pid: child.pid, command: 'python3' }])
  })

  it.skipIf(!hasPython)('are waited for only until the command is cancelled', async () => {
    const child = await holdLock('/var/lib/dpkg/lock')
    let isCancelled = false
    const { signal } = new AbortController()
    const checkpoint = (): void => {
      if (isCancelled) throw new Error('cancelled')
    }
    const waiting = waitForLocks(context(signal, checkpoint), {
      files: ['/var/lib/dpkg/lock'],
      onWait: () => (isCancelled = true),
    })
    await expect(waiting).rejects.toThrow('cancelled')
    child.stdin.end()
  })

  it.skipIf(!hasPython)(
    'are given up on after the time allowed, and at once when the attempt is aborted',
    async () => {
      const child = await holdLock('/var/lib/dpkg/lock-frontend')
      await waitForLocks(context(), { files, onWait: () => undefined, waitMs: 10 })
      const controller = new AbortController()
      const aborted = waitForLocks(context(controller.signal), { files, onWait: () => controller.abort() })
      await expect(aborted).rejects.toThrow(/abort/i)
      child.stdin.end()
    },
  )

  it('are recognised by device and inode', () => {
    const table =
      '1: POSIX  ADVISORY  WRITE 4711 08:01:99 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 08:01:98 0 EOF\n'
    expect(lockOwner(table, 0x0801, 99)).toBe(4711)
    expect(lockOwner(table, 0x0802, 99)).toBeUndefined()
    expect(lockOwner(table, 0x0801, 98)).toBeUndefined()
  })
})
