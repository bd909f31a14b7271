/** One enrolled agent, past or present: ids are never reused, so a removed one stays as a row. */
export interface AgentRow {
  id: string
  enrolledAt: number
  /** Grows by one with each enrolment of this id; the key of an enrolment is named `k<generation>`. 0: no key (another protocol). */
  generation: number
  /** The identity was ended by a removal or a reset. */
  revokedAt: number | null
  /** Not listed any more. */
  removedAt: number | null
  online: number
  onlineChangedAt: number
  /** Flushed once a minute while it is online. */
  lastSeenAt: number | null
  agentVersion: string | null
  bootId: string | null
  /** JSON: ExecutorView[]. */
  executors: string
  /** JSON. */
  apps: string
  /** The highest fact revision the server has of it. */
  factRevision: number
}

/** Tables of the agents' room. Secrets are sealed and stand in tables of their own, which no listing selects. Times are Unix ms. */
export interface AgentTables {
  agents: AgentRow
  agent_keys: {
    agentId: string
    kid: string
    sealedRoot: Uint8Array
    enrolmentId: string
    agentConfirmation: string
    serverConfirmation: string
  }
  /** Which session of an agent is the newest, and which server holds it; frames of older epochs are refused. */
  agent_sessions: { agentId: string; sessionEpoch: number; instanceId: string }
  agent_nonces: { agentId: string; nonce: string; usedAt: number }
  agent_facts: {
    agentId: string
    plugin: string
    fact: string
    /** JSON of the last good value; null where there never was one. */
    value: string | null
    error: string | null
    observedAt: number
    revision: number
    /** 0: its plugin was not active when it came; it is checked once the plugin is. */
    checked: number
  }
  agent_facets: {
    agentId: string
    /** Qualified: `os-updates.outdated`. */
    name: string
    kind: 'string' | 'number' | 'boolean' | 'null'
    text: string | null
    number: number | null
  }
  enrolment_tokens: {
    id: string
    /** The only id this token enrols; null: any new one. */
    agentId: string | null
    createdAt: number
    expiresAt: number
    /** Since when it enrols nobody any more: used up, or ended. */
    usedAt: number | null
    /** How many agents it may enrol, and how many it did. */
    uses: number
    used: number
    createdBy: string
    note: string
  }
  enrolment_token_secrets: { id: string; sealed: Uint8Array }
}
