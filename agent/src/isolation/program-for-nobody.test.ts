import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { programForNobody } from './program-for-nobody.ts'

let home: string
let program: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'home-'))
  mkdirSync(join(home, 'dist'))
  program = join(home, 'dist/executor-process.js')
  writeFileSync(program, 'export {}\n')
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

describe('the program of an executor that runs as nobody', () => {
  test('is used where it lies if everybody may read it there', () => {
    chmodSync(home, 0o755)
    const { path, remove } = programForNobody(program)
    remove()
    expect([path, existsSync(program)]).toEqual([program, true])
  })

  test.each([
    ['a folder above it', 0o700, 0o644],
    ['the file itself', 0o755, 0o600],
  ])('is a copy, for as long as its process runs, where %s is closed', (_what, folderMode, fileMode) => {
    chmodSync(home, folderMode)
    chmodSync(program, fileMode)
    const { path, remove } = programForNobody(program)
    expect(readFileSync(path, 'utf8')).toBe('export {}\n')
    const modes = [path, dirname(path)].map((name) => (statSync(name).mode & 0o777).toString(8))
    expect(modes).toEqual(['644', '755'])
    remove()
    expect([existsSync(dirname(path)), existsSync(program)]).toEqual([false, true])
  })
})
