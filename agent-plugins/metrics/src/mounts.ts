export interface Mount {
  readonly path: string
  readonly device: string
}

/** Local file systems with space of their own. Remote ones are left out: asking a server that is gone hangs. */
const real = new Set(
  'ext2 ext3 ext4 xfs btrfs zfs f2fs jfs reiserfs bcachefs nilfs2 vfat exfat ntfs ntfs3 fuseblk'.split(' '),
)

/**
 * The mounts of /proc/self/mountinfo worth measuring, each device once (bind mounts and subvolumes share one), under its
 * shortest path. The root counts whatever its type, so that a container shows something.
 */
export function parseMounts(text: string): readonly Mount[] {
  const byDevice = new Map<string, Mount>()
  for (const line of text.split('\n')) {
    const mount = parseLine(line)
    if (!mount) continue
    const known = byDevice.get(mount.device)
    if (!known || mount.path.length < known.path.length) byDevice.set(mount.device, mount)
  }
  return [...byDevice.values()]
}

function parseLine(line: string): Mount | undefined {
  const [left, right] = line.split(' - ')
  const [, , numbers, , target] = left?.split(' ') ?? []
  const [type, source] = right?.split(' ') ?? []
  if (numbers === undefined || target === undefined || type === undefined) return undefined
  const path = unescaped(target)
  if (path !== '/' && !real.has(type)) return undefined
  // Subvolumes of btrfs have numbers of their own; what they share is the block device.
  return { path, device: source?.startsWith('/dev/') ? source : `${numbers} ${type === 'zfs' ? source : ''}` }
}

/** The kernel writes blanks and backslashes in paths as octal. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
