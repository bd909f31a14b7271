/** What the repositories say about a package's way from the installed version to the candidate. */
export interface PackagePolicy {
  /** A version above the installed one, up to the candidate, comes from a security archive. */
  readonly security: boolean
  /** The candidate is still being rolled out in phases. */
  readonly phased: boolean
}

/**
 * Reads `apt-cache policy` (for the archives that are about security) and `apt-cache policy -- NAME…`. A security fix that a later
 * update superseded counts: whoever upgrades takes both.
 */
export function parsePolicies(releases: string, policies: string): ReadonlyMap<string, PackagePolicy> {
  const security = securitySources(releases)
  const found = new Map<string, PackagePolicy>()
  for (const stanza of policies.split(/^(?=\S+:$)/m)) {
    const name = /^(\S+):$/m.exec(stanza)?.[1]
    if (name !== undefined) found.set(name, readStanza(stanza, security))
  }
  return found
}

function readStanza(stanza: string, security: ReadonlySet<string>): PackagePolicy {
  const candidate = /^ +Candidate: (\S+)$/m.exec(stanza)?.[1]
  const table = stanza.slice(stanza.indexOf('Version table:')).split('\n')
  const isVersion = (line: string) => /^ (\*\*\*| {3}) \S/.test(line)
  const start = table.findIndex((line) => isVersion(line) && line.slice(5).split(' ')[0] === candidate)
  if (start === -1) return { security: false, phased: false }
  const installed = table.findIndex((line) => line.startsWith(' *** '))
  const newer = table.slice(start, installed === -1 ? undefined : installed)
  const percentage = /\(phased (\d+)%\)$/.exec(newer[0] ?? '')?.[1]
  return {
    security: newer.some((line) => !isVersion(line) && security.has(sourceOf(line))),
    phased: percentage !== undefined && Number(percentage) < 100,
  }
}

/** The index files whose release calls itself security, by label, archive or code name. */
function securitySources(text: string): ReadonlySet<string> {
  const sources = new Set<string>()
  let source = ''
  for (const line of text.split('\n')) {
    if (/^ *-?\d+ \S/.test(line)) source = sourceOf(line)
    const release = /^ +release (.*)$/.exec(line)?.[1]
    // A label may hold commas of its own.
    const fields = release?.split(/,(?=[a-z]=)/) ?? []
    if (fields.some((field) => /^[anl]=(.*[^a-z])?security$/i.test(field))) sources.add(source)
  }
  return sources
}

function sourceOf(line: string): string {
  return line.replace(/^ *-?\d+ /, '')
}
