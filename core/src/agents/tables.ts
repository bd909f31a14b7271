import type { Generated } from 'kysely'

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
  /** Since when it is refused, because two machines seem to use its identity. */
  quarantinedAt: number | null
  quarantineReason: string | null
  /** Somebody wants it to get a new key at the next chance. */
  rotateWantedAt: number | null
}

/** What becomes of an enrolment that somebody must approve. */
export type EnrolmentRequestState = 'waiting' | 'approved' | 'refused'

/** Tables of the agents' room. Secrets are sealed and stand in tables of their own, which no listing selects. Times are Unix ms. */
export interface AgentTables {
  agents: AgentRow
  /** The key that counts. */
  agent_keys: {
    agentId: string
    kid: string
    sealedRoot: Uint8Array
    enrolmentId: string
    agentConfirmation: string
    serverConfirmation: string
    /** 0: as old as the enrolment. */
    createdAt: number
  }
  /** A second key that is good already, and takes the place of the first when it is used. */
  agent_next_keys: {
    agentId: string
    kid: string
    sealedRoot: Uint8Array
    /** What proves to the agent that the server has it. */
    confirmation: string
    createdAt: number
  }
  /**
   * Which session of an agent is the newest, and which server holds it; frames of older epochs are refused. The ticket is the one
   * its agent stored last; number 0: none.
   */
  agent_sessions: {
    agentId: string
    sessionEpoch: number
    instanceId: string
    ticket: Generated<number>
    ticketNonce: Generated<string>
  }
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
    /** Which new ids it enrols, `*` for any signs; null: all. */
    idPattern: string | null
    /** 1: whoever enrols with it waits until an admin approves. */
    approval: number
    createdAt: number
    expiresAt: number
    /** Since when it enrols nobody any more: used up, or ended. */
    usedAt: number | null
    /** How many agents it may enrol (0: no limit), and how many it did. */
    uses: number
    used: number
    createdBy: string
    note: string
  }
  enrolment_token_secrets: { id: string; sealed: Uint8Array }
  enrolment_requests: {
    /** The id of the enrolment. */
    id: string
    agentId: string
    secretId: string
    /** That of the id's row when it began; 0: no row. */
    generation: number
    address: string
    /** JSON: what the machine says of itself. */
    about: string
    state: EnrolmentRequestState
    createdAt: number
    expiresAt: number
    decidedAt: number | null
    decidedBy: string | null
  }
  /** Kept until the request was decided. */
  enrolment_request_keys: {
    id: string
    kid: string
    sealedRoot: Uint8Array
    agentConfirmation: string
    serverConfirmation: string
  }
}
