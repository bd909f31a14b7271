import type { PrivilegeState } from '@fleetupdate/sdk/executor'

/** One line for people about one privilege: that it works, or what exactly is missing. */
export function reportLine({ plugin, id, ok, missing }: PrivilegeState): string {
  if (ok) return `ok       ${plugin}: ${id}`
  return `missing  ${plugin}: ${id}\n         ${missing ?? 'It needs a password, or is not allowed.'}`
}
