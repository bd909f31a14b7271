import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { parseAptStatus } from './apt-status.ts'
import { createDpkgLogReader } from './dpkg-log.ts'
import { followLines } from './follow-lines.ts'

describe("apt's status lines", () => {
  it('are read with their phase, package, percent and message', () => {
    expect(parseAptStatus('dlstatus:1:20.5:Retrieving file 1 of 3')).toEqual({
      kind: 'download',
      package: '',
      percent: 20.5,
      message: 'Retrieving file 1 of 3',
    })
    expect(parseAptStatus('pmstatus:libc6:i386:40.0000:Unpacking libc6:i386 (i386)')).toEqual({
      kind: 'install',
      package: 'libc6:i386',
      percent: 40,
      message: 'Unpacking libc6:i386 (i386)',
    })
    expect(parseAptStatus('pmerror:fleet-bad:60:exit status 3')?.kind).toBe('error')
  })

  it.each(['', 'hello', 'pmstatus:half', 'media-change: Disc:/cdrom'])('are nothing else: %j', (line) => {
    expect(parseAptStatus(line)).toBeUndefined()
  })
})

describe("dpkg's log as progress", () => {
  it('counts each planned package once unpacked and once installed, and no other', () => {
    const read = createDpkgLogReader([
      { name: 'curl', from: '1', to: '2' },
      { name: 'libc6:i386', from: '1', to: '2' },
    ])
    const lines = [
      '2026-11-23 06:00:00 status unpacked curl:amd64 1',
      '2026-11-23 06:00:00 status unpacked curl:amd64 2',
      '2026-11-23 06:00:00 status unpacked curl:amd64 2',
      '2026-11-23 06:00:00 status installed man-db:amd64 2.11',
      '2026-11-23 06:00:01 status unpacked libc6:i386 2',
      '2026-11-23 06:00:01 status half-configured curl:amd64 2',
      '2026-11-23 06:00:01 status installed curl:amd64 2',
      '2026-11-23 06:00:02 status installed libc6:i386 2',
    ]
    expect(lines.flatMap((line) => read(line)?.percent ?? [])).toEqual([25, 50, 75, 100])
  })
})

describe('following a file', () => {
  let folder: string
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('hands over each whole line once, also a character cut in two, and the rest when stopped', async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-follow-'))
    const file = join(folder, 'log')
    await writeFile(file, 'before\n')
    const lines: string[] = []
    const following = await followLines(file, 'end', (line) => lines.push(line))
    const euro = Buffer.from('price: €\n')
    await appendFile(file, Buffer.concat([Buffer.from('one\n'), euro.subarray(0, 8)]))
    await vi.waitFor(() => expect(lines).toEqual(['one']))
    await appendFile(file, euro.subarray(8))
    await following.stop()
    await following.stop()
    expect(lines).toEqual(['one', 'price: €'])
  })

  it('takes a file that is not there as an empty one', async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-follow-'))
    const following = await followLines(join(folder, 'none'), 'start', () => expect.unreachable())
    await following.stop()
  })
})
