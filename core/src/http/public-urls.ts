/** An address of PUBLIC_URL as others use it: origin and path, without a slash at the end. */
export function addressOf({ origin, pathname }: URL): string {
  return `${origin}${pathOf(pathname)}`
}

/** The paths under which a proxy offers the server. */
export interface PublicPaths {
  /** `/fleet` where this host is one of PUBLIC_URL with a path; else ''. */
  prefixFor(host: string | undefined): string
  /** The target of a request as the server knows it; a proxy may have taken the prefix away, or left it. */
  withoutPrefix(host: string | undefined, target: string): string
}

/** From the addresses of PUBLIC_URL; the first one of a host counts. */
export function createPublicPaths(publicUrls: readonly URL[]): PublicPaths {
  const prefixes = new Map<string, string>()
  for (const { host, pathname } of publicUrls)
    if (!prefixes.has(host) && pathOf(pathname) !== '') prefixes.set(host, pathOf(pathname))
  const prefixFor = (host = ''): string => prefixes.get(host.toLowerCase()) ?? ''
  return {
    prefixFor,
    withoutPrefix(host, target) {
      const prefix = prefixes.size === 0 ? '' : prefixFor(host)
      if (prefix === '' || !target.startsWith(prefix)) return target
      const rest = target.slice(prefix.length)
      if (rest.startsWith('/')) return rest
      return rest === '' || rest.startsWith('?') ? `/${rest}` : target
    },
  }
}

function pathOf(pathname: string): string {
  return pathname.replace(/\/+$/, '')
}
