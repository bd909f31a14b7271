/** What a repository says about itself in its Release file. */
export interface Release {
  readonly label: string
  readonly security: boolean
}

/** One version of a package, and the index files that offer it. */
export interface OfferedVersion {
  readonly version: string
  readonly installed: boolean
  /** A percentage below 100 while the distribution rolls it out in phases. */
  readonly phased: boolean
  /** As in `apt-cache policy`, without the priority: `http://deb.debian.org/debian bookworm/main amd64 Packages`. */
  readonly sources: readonly string[]
}

/** Reads `apt-cache policy` without names: each index file, and the release it belongs to. */
export function parseReleases(text: string): ReadonlyMap<string, Release> {
  const releases = new Map<string, Release>()
  let source: string | undefined
  for (const line of text.split('\n')) {
    if (line.startsWith('Pinned packages:')) break
    const file = /^ *-?\d+ (\S.*)$/.exec(line)?.[1]
    if (file !== undefined) source = file
    const release = /^ +release (.*)$/.exec(line)?.[1]
    if (source !== undefined && release !== undefined) releases.set(source, readRelease(release))
  }
  return releases
}

/** Reads `apt-cache policy -- NAME…`: per package its versions, newest first. */
export function parsePolicies(text: string): ReadonlyMap<string, readonly OfferedVersion[]> {
  const policies = new Map<string, OfferedVersion[]>()
  let versions: OfferedVersion[] = []
  let sources: string[] = []
  for (const line of text.split('\n')) {
    const name = /^(\S+):$/.exec(line)?.[1]
    if (name !== undefined) {
      versions = []
      policies.set(name, versions)
      continue
    }
    const [, mark, version, percentage] =
      /^ (\*\*\*| {3}) (\S+) -?\d+(?: \(phased (\d+)%\))?$/.exec(line) ?? []
    if (version !== undefined) {
      sources = []
      versions.push({
        version,
        installed: mark === '***',
        phased: percentage !== undefined && Number(percentage) < 100,
        sources,
      })
      continue
    }
    const source = /^ {8} *-?\d+ (\S.*)$/.exec(line)?.[1] ?? /^ {5,}-?\d+ (\S.*)$/.exec(line)?.[1]
    if (source !== undefined) sources.push(source)
  }
  return policies
}

function readRelease(text: string): Release {
  const fields = new Map(
    // A label may hold commas of its own.
    text.split(/,(?=[a-z]=)/).map((field) => [field.slice(0, 1), field.slice(2)] as const),
  )
  const label = fields.get('l') || fields.get('o') || ''
  const names = [label, fields.get('a') ?? '', fields.get('n') ?? '']
  return { label, security: names.some((name) => /(^|[^a-z])security$/i.test(name)) }
}
