/** Where the installer puts the root helper. */
export const installedHelper = '/opt/orchestrator/agent/current/root-helper'

/** The one line that lets an unprivileged agent ask the root helper, and nothing else: the empty string allows no argument at all. */
export function sudoersLine(helper: string = installedHelper, user = 'orchestrator'): string {
  return `${user} ALL=(root) NOPASSWD: ${helper} ""`
}
