import { chmodSync, copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface ReadableProgram {
  readonly path: string
  /** Removes what was made for it; call it when its process has ended. */
  remove(): void
}

/** A program where the user nobody can read it: where it lies, or a copy of root's where a folder above it is closed to others, as root's home is. */
export function programForNobody(program: string): ReadableProgram {
  if (isOpen(program)) return { path: program, remove: () => undefined }
  const folder = mkdtempSync('/tmp/executor-program-')
  const path = join(folder, basename(program))
  copyFileSync(program, path)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  for (const name of [path, join(folder, 'package.json')]) chmodSync(name, 0o644)
  chmodSync(folder, 0o755)
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

function isOpen(file: string): boolean {
  if ((statSync(file).mode & 0o004) === 0) return false
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}
