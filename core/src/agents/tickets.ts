import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { equalBytes } from '@fleetupdate/sdk/protocol'
import type { Store } from '../store/store.ts'

/** What tells one copy of an identity from the other: each session replaces it, and only one copy can store the newest. Number 0: none. */
export interface Ticket {
  readonly number: number
  readonly nonce: string
}

export const noTicket: Ticket = { number: 0, nonce: '' }

export interface TicketVerdict {
  /**
   * `right`: it is the newest, or newer than what this server knows (it was restored from a backup). `old`: another copy of this identity
   * stored a newer one. `strange`: none of this server's. `missing`: there was one before.
   */
  readonly kind: 'right' | 'old' | 'strange' | 'missing'
  /** What was shown, as far as it is this server's; it must still hold when the session begins. */
  readonly shown: Ticket
}

/** Gives tickets to agents and reads them back. What a ticket says is only this server's to know: agents store the text as it is. */
export interface Tickets {
  /** `text` is what the hello says: undefined where the agent knows no tickets, '' where it has none yet. */
  check(of: TicketHolder, text: string | undefined): Promise<TicketVerdict>
  next(of: TicketHolder, after: Ticket): Ticket & { readonly text: string }
}

export interface TicketHolder {
  readonly agentId: string
  readonly generation: number
}

/** Tickets are not stored when they are given, only when they were confirmed: `<number>.<nonce>.<mac>` proves where it comes from. */
export function createTickets(store: Store, masterKey: Uint8Array): Tickets {
  const key = Buffer.from(hkdfSync('sha256', masterKey, '', 'fleetupdate/v1/session-tickets', 32))
  const macOf = ({ agentId, generation }: TicketHolder, { number, nonce }: Ticket): string =>
    createHmac('sha256', key).update(`${agentId}\n${generation}\n${number}\n${nonce}`).digest('base64url')

  const read = (of: TicketHolder, text: string): Ticket | undefined => {
    const [, digits = '', nonce = '', mac = ''] =
      /^([1-9]\d{0,14})\.([\w-]{22})\.([\w-]{43})$/.exec(text) ?? []
    const ticket = { number: Number(digits), nonce }
    return digits !== '' && equalBytes(Buffer.from(mac), Buffer.from(macOf(of, ticket))) ? ticket : undefined
  }

  return {
    async check(of, text) {
      const row = await store.read
        .selectFrom('agent_sessions')
        .select(['ticket', 'ticketNonce'])
        .where('agentId', '=', of.agentId)
        .executeTakeFirst()
      const stored = { number: row?.ticket ?? 0, nonce: row?.ticketNonce ?? '' }
      const shown = text ? read(of, text) : undefined
      // The first session of an identity: whatever is left of an earlier one does not count.
      if (stored.number === 0) return { kind: 'right', shown: shown ?? noTicket }
      if (!text) return { kind: 'missing', shown: noTicket }
      if (!shown) return { kind: 'strange', shown: noTicket }
      const isNewest = shown.number === stored.number && shown.nonce === stored.nonce
      return { kind: shown.number > stored.number || isNewest ? 'right' : 'old', shown }
    },
    next(of, after) {
      const ticket = { number: after.number + 1, nonce: randomBytes(16).toString('base64url') }
      return { ...ticket, text: `${ticket.number}.${ticket.nonce}.${macOf(of, ticket)}` }
    },
  }
}
