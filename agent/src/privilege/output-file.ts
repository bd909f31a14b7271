import { closeSync, constants, fstatSync, openSync } from 'node:fs'

const place =
  /^\/(?:attempts\/[0-9a-f-]{36}\.[0-9]{1,7}(?:\/work)?|captures)\/[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/**
 * Opens a file of the asker's, inside its own state folder, so that a program of root appends to it; undefined where it is no such file. Each
 * step goes from the folder that was opened before it and follows no link, so that renaming in between leads nowhere else.
 */
export function openForAppending(state: string, path: unknown, owner: number): number | undefined {
  const { O_DIRECTORY, O_NOFOLLOW, O_WRONLY, O_APPEND, O_NONBLOCK } = constants
  const inner = typeof path === 'string' && path.startsWith(state) ? path.slice(state.length) : ''
  if (!place.test(inner)) return undefined
  const [, ...steps] = inner.split('/')
  const opened: number[] = []
  const step = (from: string, flags: number): number => {
    opened.push(openSync(from, flags | O_NOFOLLOW))
    return opened.at(-1) ?? -1
  }
  try {
    let folder = step(state, O_DIRECTORY)
    for (const name of steps.slice(0, -1)) folder = step(`/proc/self/fd/${folder}/${name}`, O_DIRECTORY)
    // Without waiting for the reader of a pipe, or for the holder of a lease.
    const file = step(`/proc/self/fd/${folder}/${steps.at(-1)}`, O_WRONLY | O_APPEND | O_NONBLOCK)
    const { uid, nlink } = fstatSync(file)
    return fstatSync(file).isFile() && nlink === 1 && uid === owner ? opened.pop() : undefined
  } catch {
    return undefined
  } finally {
    for (const one of opened) closeSync(one)
  }
}
