// A Node binary as one compressed file, for machines whose distribution has none or an old one.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { root } from '../local/setup.mjs'

const cache = join(root, 'node_modules/.cache/fleetupdate-node')

/**
 * Compresses a Node binary; answers its version and the glibc it needs. Throws where it needs libraries that a bare machine does not
 * have (a distribution's Node often does): such a binary would not run elsewhere.
 */
export async function packNode(binary) {
  const content = readFileSync(realpathSync(binary))
  const strangers = sharedLibraries(content).filter(
    (name) => !/^(lib(dl|stdc\+\+|m|gcc_s|pthread|c|rt|atomic)\.so|ld-linux)/.test(name),
  )
  if (strangers.length > 0)
    throw new Error(
      `${binary} needs ${strangers.join(', ')} and would not run on a bare machine. Use a Node from nodejs.org, or leave it out with --no-node.`,
    )
  const text = content.toString('latin1')
  const version = /node v?(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? versionOf(binary)
  return { bytes: compressed(content), version, glibc: newest(text.matchAll(/GLIBC_(\d+\.\d+)/g)) }
}

function versionOf(binary) {
  return execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim().replace(/^v/, '')
}

function newest(matches) {
  const versions = [...matches].map(([, version]) => version.split('.').map(Number))
  return (
    versions
      .sort(([a, b], [c, d]) => a - c || b - d)
      .at(-1)
      ?.join('.') ?? '2.28'
  )
}

/** Compressing 100 MB takes seconds: kept by the hash of what goes in. */
function compressed(content) {
  const file = join(cache, `${createHash('sha256').update(content).digest('hex')}.gz`)
  try {
    return readFileSync(file)
  } catch {
    const bytes = gzipSync(content, { level: 9 })
    mkdirSync(cache, { recursive: true })
    writeFileSync(`${file}.${process.pid}`, bytes)
    renameSync(`${file}.${process.pid}`, file)
    return bytes
  }
}

/** The DT_NEEDED names of a 64-bit little-endian ELF file. */
function sharedLibraries(elf) {
  if (elf.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') throw new Error('It is not a 64-bit Linux program.')
  const table = Number(elf.readBigUInt64LE(0x28))
  const size = elf.readUInt16LE(0x3a)
  const sections = Array.from({ length: elf.readUInt16LE(0x3c) }, (_, i) => {
    const at = table + i * size
    return {
      type: elf.readUInt32LE(at + 4),
      offset: Number(elf.readBigUInt64LE(at + 0x18)),
      bytes: Number(elf.readBigUInt64LE(at + 0x20)),
      link: elf.readUInt32LE(at + 0x28),
    }
  })
  const dynamic = sections.find(({ type }) => type === 6)
  if (!dynamic) return []
  const names = sections[dynamic.link].offset
  const needed = []
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.bytes; at += 16)
    if (elf.readBigInt64LE(at) === 1n) {
      const start = names + Number(elf.readBigUInt64LE(at + 8))
      needed.push(elf.toString('latin1', start, elf.indexOf(0, start)))
    }
  return needed
}
