/** Where an update happens. Only what root owns is trusted; `incoming` and `state` belong to the agent's user. */
export interface UpdatePaths {
  /** The versions of the agent, `current` and `previous`. */
  readonly programs: string
  /** Public keys that releases must be signed with, one a line. */
  readonly pin: string
  /** What the agent fetched. */
  readonly incoming: string
  /** Of the agent: there it says that it checked in. */
  readonly state: string
  /** Of root: the update that is on trial, and how the last one ended. */
  readonly records: string
  readonly units: string
}

export const installedPaths: UpdatePaths = {
  programs: '/opt/orchestrator/agent',
  pin: '/etc/orchestrator-agent/release.pub',
  incoming: '/var/lib/orchestrator-agent/update',
  state: '/var/lib/orchestrator-agent',
  records: '/var/lib/orchestrator-helper',
  units: '/etc/systemd/system',
}
