/** An enrolment token, as `GET /api/enrolment/tokens` tells; never with its secret. */
export interface EnrolmentToken {
  readonly id: string
  readonly state: 'open' | 'used' | 'expired' | 'ended'
  /** SERVER_PSK. */
  readonly standing: boolean
  readonly agentId: string | null
  /** Which new ids it enrols, `*` for any signs. */
  readonly group?: string | null
  readonly approval?: boolean
  /** null: without limit. */
  readonly uses: number | null
  readonly used: number
  readonly note: string
  readonly createdBy: string
  readonly createdAt: string | null
  readonly expiresAt: string | null
}

/** What `POST /api/enrolment/tokens` answers: the only time its secret is told. */
export interface Invitation {
  readonly id: string
  readonly token: string
  readonly agentId: string | null
  readonly uses: number
  readonly expiresAt: string
  /** The one line to paste on the machine. */
  readonly command: string
  /** By the server's clock; told by the page that asked. */
  readonly madeAt: string
}

/** A machine that waits to be let in. What it says of itself is its own word. */
export interface EnrolmentRequest {
  readonly id: string
  readonly agentId: string
  readonly address: string
  readonly about?: Readonly<Record<string, unknown>>
  readonly state: 'waiting' | 'approved' | 'refused' | 'expired'
  readonly createdAt: string
  readonly expiresAt: string
  readonly decidedAt?: string | null
  readonly decidedBy?: string | null
}
