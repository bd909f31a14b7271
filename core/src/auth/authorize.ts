import type { Role } from '@fleetupdate/sdk'
import type { AgentFrame } from '@fleetupdate/sdk/protocol'
import { fleetError } from '../errors.ts'

/** Whoever may want something: a person or program that signed in, an agent, a plugin, or the server's own machine. */
export type Asking =
  | { readonly role: Role; readonly name: string }
  | { readonly agentId: string; readonly stage: SessionStage }
  | { readonly plugin: string }
  /** A user of the server's machine who may read its data folder and master key: nothing could be kept from it. */
  | { readonly console: string }

/** How far the session of an agent is: before its hello, before its ticket is confirmed, or counting. */
export type SessionStage = 'greeting' | 'waiting' | 'live'

/** What there is to be allowed, by verb. */
export interface Objects {
  /** A route of the registry. */
  call: { readonly role: Role }
  /** A command of a contract. */
  submit: { readonly plugin: string; readonly role: Role }
  /** A topic of the live socket. */
  follow: { readonly role: Role }
  /** To give this role to somebody, or to a token. */
  grant: { readonly role: Role }
  /** A frame of an agent. */
  send: { readonly frame: AgentFrame['type'] }
}
export type Verb = keyof Objects

const rank: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 }

/** Every frame an agent can send, and when. One that is not here does not compile; of a type nobody knows none is read. */
export const frameStages: Readonly<Record<AgentFrame['type'], readonly SessionStage[]>> = {
  hello: ['greeting'],
  ticket: ['waiting'],
  ping: ['waiting', 'live'],
  pong: ['waiting', 'live'],
  facts: ['live'],
  accept: ['live'],
  reject: ['live'],
  progress: ['live'],
  output: ['live'],
  result: ['live'],
  rekey: ['live'],
  executors: ['live'],
}

/**
 * The one place that says who may do what: default deny, for routes, commands, live topics, frames, plugins and the console. Throws FLT_AUTH_FORBIDDEN.
 * Whose object it is (an agent's own command, a person's own token) is part of each query of the data, not decided here.
 */
export function authorize<V extends Verb>(subject: Asking, verb: V, object: Objects[V]): void {
  if (mayDo(subject, verb, object)) return
  const needed = 'role' in object ? object.role : verb
  const actual = 'role' in subject ? subject.role : 'no person'
  throw fleetError('FLT_AUTH_FORBIDDEN', { role: needed, actual })
}

function mayDo<V extends Verb>(subject: Asking, verb: V, object: Objects[V]): boolean {
  if ('console' in subject) return verb !== 'send'
  if ('plugin' in subject) return verb === 'submit' && 'plugin' in object && object.plugin === subject.plugin
  if ('agentId' in subject)
    return verb === 'send' && 'frame' in object && stagesOf(object.frame).includes(subject.stage)
  return verb !== 'send' && 'role' in object && isAtLeast(subject.role, object.role)
}

function stagesOf(frame: AgentFrame['type']): readonly SessionStage[] {
  return Object.hasOwn(frameStages, frame) ? frameStages[frame] : []
}

/** Whether a role includes another one: viewer < operator < admin. False for a role that does not exist. */
export function isAtLeast(role: Role, needed: Role): boolean {
  const has = Object.hasOwn(rank, role) ? rank[role] : -1
  const needs = Object.hasOwn(rank, needed) ? rank[needed] : Number.POSITIVE_INFINITY
  return has >= needs
}
