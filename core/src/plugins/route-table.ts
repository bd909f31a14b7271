interface Claim {
  readonly plugin: string
  readonly segments: readonly string[]
  readonly path: string
  /** All of the path before its first parameter: tells most requests apart without a closer look. */
  readonly prefix: string
}

/** Which plugin answers which path: everything under `/api/plugins/<id>`, and the root paths of the manifests. */
export interface RouteTable {
  /** Why these paths can't be claimed, or undefined when they now are. */
  claim(plugin: string, paths: readonly string[]): string | undefined
  release(plugin: string): void
  /** The plugin that owns a path (without query), active or not. */
  owner(path: string): string | undefined
}

/** `taken` are the core's own paths, which no plugin may cover. */
export function createRouteTable(taken: () => readonly string[]): RouteTable {
  let claims: Claim[] = []
  return {
    claim(plugin, paths) {
      const core = taken().map(split)
      for (const path of paths) {
        const segments = split(path)
        if (
          core.some((other) => overlaps(other, segments)) ||
          path.startsWith('/api/plugins/') ||
          path.startsWith('/api/admin/')
        )
          return `the path ${path} belongs to the server`
        const other = claims.find((claim) => overlaps(claim.segments, segments))
        if (other) return `the path ${path} is already served by "${other.plugin}"`
      }
      claims.push(
        ...paths.map((path) => ({
          plugin,
          path,
          segments: split(path),
          prefix: path.split(':', 1)[0] ?? '',
        })),
      )
      return undefined
    },
    release(plugin) {
      claims = claims.filter((claim) => claim.plugin !== plugin)
    },
    owner(path) {
      if (path.startsWith('/api/plugins/')) return path.split('/', 4)[3]
      return claims.find(({ prefix, segments }) => path.startsWith(prefix) && overlaps(segments, split(path)))
        ?.plugin
    },
  }
}

function split(path: string): readonly string[] {
  return path.split('/').slice(1)
}

function overlaps(a: readonly string[], b: readonly string[]): boolean {
  return (
    a.length === b.length &&
    a.every((segment, i) => segment === b[i] || segment.startsWith(':') || (b[i] ?? '').startsWith(':'))
  )
}
