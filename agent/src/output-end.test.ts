import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { outputEnd, outputLength } from './output-end.ts'

describe('the end of the output', () => {
  let folder: string
  let fd: number
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-output-end-'))
    fd = openSync(join(folder, 'output.log'), 'a')
  })
  afterEach(async () => {
    closeSync(fd)
    await rm(folder, { recursive: true })
  })

  it('is what was appended since, though the descriptor is for writing only', () => {
    writeSync(fd, 'before\n')
    const from = outputLength(fd)
    writeSync(fd, 'E: no space\n')
    expect(outputEnd(fd, from)).toBe('E: no space\n')
    expect(outputEnd(fd, outputLength(fd))).toBe('')
  })

  it('is never more than 16 KiB', () => {
    writeSync(fd, `${'x'.repeat(100_000)}end`)
    const text = outputEnd(fd, 0)
    expect(text.length).toBe(16_384)
    expect(text.endsWith('xend')).toBe(true)
  })
})
