import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readExecutorPackage } from '../executor-loader.ts'
import type { DeclaredPrivilege } from './privilege.ts'

/** Every privilege that the executors in these folders declare, read from their manifests. Folders that hold no sound executor are left out. */
export async function loadPrivileges(folders: readonly string[]): Promise<readonly DeclaredPrivilege[]> {
  const found = new Map<string, readonly DeclaredPrivilege[]>()
  for (const folder of folders) {
    for (const id of await readdir(folder).catch(() => [])) {
      if (found.has(id)) continue
      const one = await readExecutorPackage(join(folder, id), id).catch(() => undefined)
      if (one)
        found.set(
          id,
          (one.manifest.privileges ?? []).map((privilege) => ({ plugin: id, privilege })),
        )
    }
  }
  return [...found.values()].flat()
}
