import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { authorize } from '../auth/authorize.ts'
import { fleetError } from '../errors.ts'
import type { Route, SignedIn } from './routes.ts'

export type Authenticate = (request: FastifyRequest) => Promise<SignedIn | undefined>

const nobody: SignedIn = { name: '', role: 'viewer', userId: '', sessionId: '' }

/**
 * Puts a table of routes into an app: the rule is checked first, then the body and query against their schemas, then the route
 * answers. A route that is not in a table does not exist.
 */
export function mountRoutes(
  app: FastifyInstance,
  routes: readonly Route[],
  authenticate: Authenticate,
): void {
  for (const route of routes) {
    const { rule } = route
    const checkBody = route.body && checker(route.body, 'body')
    const checkQuery = route.query && checker(route.query, 'query')
    app.route({
      method: route.method,
      url: route.path,
      ...(route.bodyLimit === undefined ? {} : { bodyLimit: route.bodyLimit }),
      ...(typeof rule === 'object'
        ? {
            onRequest: (request: FastifyRequest) =>
              requireRole(request, rule.role, authenticate).then(() => undefined),
          }
        : {}),
      handler: async (request, reply) => {
        checkBody?.(request.body ?? {})
        checkQuery?.(request.query)
        reply.header('cache-control', 'no-store')
        const answer = await route.handle({
          params: strings(request.params),
          query: strings(request.query),
          body: request.body,
          subject: request.subject ?? nobody,
          request,
          reply,
        })
        if (reply.sent || answer === undefined) return reply
        return reply.code(route.status ?? 200).send(answer)
      },
    })
  }
}

/** The person behind a request, who must have at least this role. */
export async function requireRole(
  request: FastifyRequest,
  role: SignedIn['role'],
  authenticate: Authenticate,
): Promise<SignedIn> {
  const subject = await authenticate(request)
  if (!subject) throw fleetError('FLT_AUTH_REQUIRED')
  // Before the role is looked at, so that the audit can name who was refused.
  request.subject = subject
  authorize(subject, 'call', { role })
  return subject
}

function checker(schema: TSchema, part: string): (value: unknown) => void {
  const compiled = Compile(schema)
  return (value) => {
    if (compiled.Check(value)) return
    const problems = compiled.Errors(value).map((e) => `${part}${e.instancePath} ${e.message}`)
    throw fleetError(
      'FLT_HTTP_INVALID',
      { problem: problems.slice(0, 3).join('; ') },
      { details: { problems } },
    )
  }
}

function strings(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      Array.isArray(member) ? String(member.at(-1)) : String(member),
    ]),
  )
}

declare module 'fastify' {
  interface FastifyRequest {
    subject?: SignedIn
  }
}
