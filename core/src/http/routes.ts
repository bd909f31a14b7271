import type { Role, Subject } from '@fleetupdate/sdk'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import type { Actor, AuditEntry } from '../audit/entry.ts'
import type { AnswerDirectly } from './direct-routes.ts'

/** Who may use a route: a person of at least that role, anybody, or an enrolled agent that signs. */
export type Rule = { readonly role: Role } | 'public' | 'agent'

/** A person or program that was let in. `session` is absent for system causes. */
export interface SignedIn extends Subject {
  readonly userId: string
  readonly sessionId: string
  /** Set for whoever speaks through the server's own socket: the user of the operating system. */
  readonly consoleUser?: string
}

export interface RouteCall {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  readonly body: unknown
  /** Set for every route whose rule is a role. */
  readonly subject: SignedIn
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** One route as data: from this table come the permission check, the validation, OpenAPI and the attack harness. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Fastify syntax: `/api/agents/:id`. */
  readonly path: string
  readonly rule: Rule
  readonly summary: string
  readonly query?: TSchema
  readonly body?: TSchema
  readonly answer?: TSchema
  /** Status of success; default 200. */
  readonly status?: number
  readonly bodyLimit?: number
  /** For the few routes that most requests are for: answers before the framework. `handle` is then `handleDirectly(direct)`. */
  readonly direct?: AnswerDirectly
  /** What it returns is the JSON answer; `reply.hijack()`ed or sent replies return undefined. */
  handle(call: RouteCall): unknown
}

/** Who asks, in the words of the audit. */
export function byOf({ subject, request }: RouteCall): Pick<AuditEntry, 'actor' | 'address'> {
  return { actor: actorOf(subject), address: request.ip }
}

/** Somebody who was let in, in the words of the audit. */
export function actorOf({ name, consoleUser }: SignedIn): Actor {
  return consoleUser === undefined ? { type: 'user', id: name } : { type: 'console', id: consoleUser }
}

/** Typed to the caller's schema by the room that owns the route. */
export type Routes = readonly Route[]
