import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Lab } from './fault.ts'

const execute = promisify(execFile)

/** Why these programs cannot be used as root here, in one line; undefined where they can. */
export function hostProblem(...programs: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root: run the fault lab as root'
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  const missing = programs.filter((program) => !folders.some((folder) => existsSync(join(folder, program))))
  return missing.length === 0 ? undefined : `it needs ${missing.join(', ')}`
}

/** A small disk in memory at this path, unmounted with the fault. */
export async function mountSmallDisk(lab: Lab, path: string, megabytes: number): Promise<void> {
  await mkdir(path, { recursive: true })
  await execute('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', path])
  lab.onEnd(() => unmount(path))
}

/** Makes an ext4 image and mounts it; whoever copies the image has what a power cut would have left. */
export async function mountImage(lab: Lab, image: string, path: string, megabytes: number): Promise<void> {
  await writeFile(image, '')
  await truncate(image, megabytes * 1024 * 1024)
  await execute('mkfs.ext4', ['-q', '-F', image])
  await mountExisting(lab, image, path)
}

/** Mounts an image; the journal of its file system is replayed, as after a power cut. */
export async function mountExisting(lab: Lab, image: string, path: string): Promise<void> {
  await mkdir(path, { recursive: true })
  await execute('mount', ['-o', 'loop', image, path])
  lab.onEnd(() => unmount(path))
}

/** Takes a mount away; one that is gone already is fine. */
export async function unmount(path: string): Promise<void> {
  await execute('umount', ['--lazy', path]).catch((error: unknown) => {
    if (!String(error).includes('not mounted')) throw error
  })
}

/** Copies a file as it is on the disk now. */
export async function copyImage(from: string, to: string): Promise<void> {
  await execute('cp', ['--sparse=always', from, to])
}
