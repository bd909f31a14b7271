export interface Invitation {
  /** null: the machine's own host name. */
  readonly agentId: string | null
  readonly token: string
  /** Origin alone. */
  readonly serverUrl: string
  /** SHA-256 of the installer that this server hands out; undefined: it has none, and the agent must be there already. */
  readonly installerSha256: string | undefined
}

/**
 * The one line to paste on the new VM. It says by hash which installer it will run, so that what comes over the network is held against what the
 * dashboard showed. The secret goes through a pipe: not into an address, an argument (`ps` shows those to everybody) or a file. Nothing runs unless all of
 * the installer has arrived. Every part was checked to hold nothing that a shell reads: an id, a token, an origin, a hash.
 */
export function invitationLine(invitation: Invitation): string {
  const { agentId, token, serverUrl, installerSha256 } = invitation
  if (installerSha256 === undefined) return startLine(invitation)
  const url = `${serverUrl}/install/agent.sh`
  const fetch = `i=$(curl -fsSL ${url} || wget -qO- ${url})`
  const check = `[ "$(printf "%s\n" "$i" | sha256sum)" = "${installerSha256}  -" ]`
  const otherwise =
    '{ echo "The installer did not arrive as invited. Nothing was done. Take a new line from the dashboard."; exit 1; }'
  const id = agentId ?? '$(hostname)'
  return `echo '${fetch}; ${check} || ${otherwise}; AGENT_ID=${id} AGENT_PSK=${token}; eval "$i"' | sudo sh`
}

/** For a machine that has the agent's program already. */
function startLine({ agentId, token, serverUrl }: Invitation): string {
  const id = agentId === null ? '"$(hostname)"' : quoted(agentId)
  const settings = `AGENT_ID=${id} SERVER_URL=${quoted(serverUrl)} AGENT_PSK=${quoted(token)}`
  return `${settings} sudo --preserve-env=AGENT_ID,SERVER_URL,AGENT_PSK fleetupdate-agent`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'''")}'`
}
