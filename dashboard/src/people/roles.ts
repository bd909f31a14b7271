import type { Role } from '@fleetupdate/sdk'
import type { FieldChoice } from '../kit/KitField.vue'
import { t } from '../text.ts'

export const roles = ['viewer', 'operator', 'admin'] as const satisfies readonly Role[]

/** The roles as choices, least first; `most` leaves out what is above it. */
export function roleChoices(most: Role = 'admin'): readonly FieldChoice[] {
  return roles.slice(0, roles.indexOf(most) + 1).map((role) => ({ value: role, label: t(`role.${role}`) }))
}

/** Reads what a list to choose from gave back. */
export function roleOf(text: string): Role {
  return roles.find((role) => role === text) ?? 'viewer'
}
