import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

/** Headers that every answer carries. HSTS only where the server is reached by https. */
export function registerSecurityHeaders(app: FastifyInstance, options: { readonly https: boolean }): void {
  const headers = securityHeaders(options.https)
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
}

/** The same, by name. */
export function securityHeaders(https: boolean): Readonly<Record<string, string>> {
  return https ? { ...baseHeaders, ...httpsHeaders } : baseHeaders
}

const baseHeaders = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
}

const httpsHeaders = { 'strict-transport-security': 'max-age=31536000; includeSubDomains' }

/**
 * The policy of the dashboard's page: scripts from this server, and inline ones (the import map) by hash only.
 * Inline styles are allowed because the component library and the terminal inject style elements.
 */
export function pagePolicy(html: string): string {
  const inline = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(
    ([, text]) =>
      `'sha256-${createHash('sha256')
        .update(text ?? '')
        .digest('base64')}'`,
  )
  return [
    "default-src 'self'",
    ["script-src 'self'", ...inline].join(' '),
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self' ws: wss:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ')
}
