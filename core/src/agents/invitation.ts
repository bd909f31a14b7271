export interface Invitation {
  /** null: the machine's own host name. */
  readonly agentId: string | null
  readonly token: string
  /** Origin alone. */
  readonly serverUrl: string
}

/**
 * The one line to paste on the new VM. The secret travels in the environment: arguments are shown to every user by `ps`.
 * Every part was checked to hold nothing that a shell reads: an id, a token, an origin.
 */
export function invitationLine({ agentId, token, serverUrl }: Invitation): string {
  const id = agentId === null ? '"$(hostname)"' : quoted(agentId)
  const settings = `AGENT_ID=${id} SERVER_URL=${quoted(serverUrl)} AGENT_PSK=${quoted(token)}`
  return `${settings} sudo --preserve-env=AGENT_ID,SERVER_URL,AGENT_PSK fleetupdate-agent`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
