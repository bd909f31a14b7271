import { statfs } from 'node:fs/promises'
import { type Mount, parseMounts } from './mounts.ts'

export interface Disk {
  readonly mount: string
  readonly used: number
  readonly total: number
}

const most = 6

/**
 * Used and total bytes of the root and the fullest other file systems, at most six. `total` leaves out what is reserved for
 * root, so that 100 % means what df means by it. A file system that can't be asked is left out.
 */
export async function readDisks(mountinfo: string, root: string): Promise<Disk[]> {
  const disks = await Promise.all(parseMounts(mountinfo).map((mount) => measure(mount, root)))
  const known = disks.filter((disk) => disk !== undefined)
  return known.sort((a, b) => rank(b) - rank(a)).slice(0, most)
}

async function measure({ path }: Mount, root: string): Promise<Disk | undefined> {
  if (path.length > 128) return undefined
  try {
    const { bsize, blocks, bfree, bavail } = await statfs(root + path)
    const used = (blocks - bfree) * bsize
    const total = used + bavail * bsize
    return total > 0 ? { mount: path, used, total } : undefined
  } catch {
    return undefined
  }
}

function rank({ mount, used, total }: Disk): number {
  return mount === '/' ? 2 : used / total
}
