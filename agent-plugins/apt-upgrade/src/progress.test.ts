import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { parseAptStatus } from './apt-status.ts'
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

describe('following a file', () => {
  let folder: string
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('hands over each whole line once, also a character cut in two, and the rest when stopped', async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-follow-'))
    const file = join(folder, 'log')
    await writeFile(file, 'first\n')
    const lines: string[] = []
    const following = await followLines(file, (line) => lines.push(line))
    const euro = Buffer.from('price: €\n')
    await appendFile(file, Buffer.concat([Buffer.from('one\n'), euro.subarray(0, 8)]))
    await vi.waitFor(() => expect(lines).toEqual(['first', 'one']))
    await appendFile(file, euro.subarray(8))
    await following.stop()
    await following.stop()
    expect(lines).toEqual(['first', 'one', 'price: €'])
  })

  it('takes a file that is not there as an empty one', async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-follow-'))
    const following = await followLines(join(folder, 'none'), () => expect.unreachable())
    await following.stop()
  })
})
