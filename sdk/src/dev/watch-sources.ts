import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { join } from 'node:path'

/** How long a burst of changes, as of an editor that saves many files, is taken as one. */
const burstMs = 80

/** Yields once after each burst of changes to a plugin's `src` or package.json, until the signal ends. */
export async function* watchSources(folder: string, signal: AbortSignal): AsyncGenerator<void> {
  let changed = false
  let wake: () => void = () => undefined
  const folders = new Map<string, FSWatcher>()
  const note = (): void => {
    changed = true
    wake()
  }
  /** A watcher a folder: Node's recursive one loses a file on Linux as soon as an editor replaces it. */
  const follow = (): void => {
    const there = new Set(foldersUnder(join(folder, 'src')))
    for (const [path, watcher] of folders)
      if (!there.has(path)) {
        watcher.close()
        folders.delete(path)
      }
    for (const path of there) if (!folders.has(path)) folders.set(path, watch(path, note).on('error', note))
  }
  const manifest = watch(folder, (_event, name) => {
    if (name === 'package.json' || name === 'src') note()
  })
  signal.addEventListener('abort', () => wake(), { once: true })
  try {
    follow()
    while (!signal.aborted) {
      if (!changed)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      if (signal.aborted) return
      await new Promise((resolve) => setTimeout(resolve, burstMs))
      changed = false
      follow()
      yield
    }
  } finally {
    for (const watcher of [manifest, ...folders.values()]) watcher.close()
  }
}

function foldersUnder(path: string): readonly string[] {
  try {
    const inner = readdirSync(path, { recursive: true, withFileTypes: true })
    return [
      path,
      ...inner.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name)),
    ]
  } catch {
    return []
  }
}
