import type { FastifyRequest } from 'fastify'

export interface OriginOptions {
  /** Origins people reach the server by. */
  readonly publicUrls: readonly URL[]
  /** Other origins whose pages the operator trusts. */
  readonly corsOrigins: readonly string[]
  /** The server speaks TLS itself. */
  readonly tls?: unknown
}

/** What a request's headers say about the page it comes from, and whether it came by https. */
export interface Origins {
  /** False where a browser says that another site's page made the request. Programs send neither header and pass. */
  isSameOrigin(request: Pick<FastifyRequest, 'headers'>): boolean
  /** Whether the request came to an https address of PUBLIC_URL, or by TLS to the server itself. */
  isHttps(request: Pick<FastifyRequest, 'headers'>): boolean
}

/** The cross-site defence of one server: Sec-Fetch-Site where the browser sends it, else Origin against the own address. */
export function createOrigins({ publicUrls, corsOrigins, tls }: OriginOptions): Origins {
  const trusted = new Set(corsOrigins)
  return {
    isSameOrigin({ headers }) {
      const { origin } = headers
      if (origin !== undefined && trusted.has(origin)) return true
      const site = headers['sec-fetch-site']
      if (site !== undefined) return site === 'same-origin' || site === 'none'
      return origin === undefined || isOwn(origin, headers.host)
    },
    isHttps: ({ headers }) => tls !== undefined || publicUrlOf(headers.host)?.protocol === 'https:',
  }

  function isOwn(origin: string, host: string | undefined): boolean {
    const publicUrl = publicUrlOf(host)
    if (publicUrl) return origin === publicUrl.origin
    return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
  }

  function publicUrlOf(host: string | undefined): URL | undefined {
    return publicUrls.find((url) => url.host === host?.toLowerCase())
  }
}
