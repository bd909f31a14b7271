import type { Role, Subject } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'

const rank: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 }

/** Lets a subject of at least this role pass; throws FLT_AUTH_FORBIDDEN for all others, also for a role that does not exist. */
export function authorize(subject: Subject, needed: Role): void {
  if (isAtLeast(subject.role, needed)) return
  throw fleetError('FLT_AUTH_FORBIDDEN', { role: needed, actual: subject.role })
}

/** Whether a role includes another one: viewer < operator < admin. */
export function isAtLeast(role: Role, needed: Role): boolean {
  const has = Object.hasOwn(rank, role) ? rank[role] : -1
  const needs = Object.hasOwn(rank, needed) ? rank[needed] : Number.POSITIVE_INFINITY
  return has >= needs
}
