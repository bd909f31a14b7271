import type { Role, Subject } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'

const order: readonly Role[] = ['viewer', 'operator', 'admin']

/** Lets somebody do what needs this role, or throws FLT_AUTH_FORBIDDEN. Each role includes the ones before it. */
export function authorize(subject: Subject, needed: Role): void {
  if (order.indexOf(subject.role) >= order.indexOf(needed)) return
  throw fleetError('FLT_AUTH_FORBIDDEN', { role: needed, actual: subject.role })
}
