import type { Role } from '@fleetupdate/sdk'

/** Somebody who can log in, as `GET /api/users` tells. */
export interface Person {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly createdAt: string
  readonly disabled: boolean
  readonly secondFactor: boolean
  readonly sessions: number
}

/** Shortest password the server takes. */
export const shortestPassword = 10
