import type { CommandView } from '@fleetupdate/sdk'
import type { BatchView, SubmitRequest, Targets } from '@fleetupdate/sdk/panel'
import { request } from '../api/request.ts'

/** Submits one command for one agent. A repeated click with the same key is the same command. */
export function submitCommand(
  agentId: string,
  { command, input = {}, precondition }: SubmitRequest,
  idempotencyKey = newKey(),
): Promise<CommandView> {
  return request('POST', `agents/${encodeURIComponent(agentId)}/commands`, {
    body: { command, input, ...(precondition === undefined ? {} : { precondition }) },
    idempotencyKey,
  })
}

/** Submits one command for many agents, as one batch. */
export async function submitBatch(
  targets: Targets,
  { command, input = {}, precondition }: SubmitRequest,
  idempotencyKey = newKey(),
): Promise<BatchView> {
  const answer = await request<{ batch: BatchView }>('POST', 'commands', {
    body: { command, input, targets, ...(precondition === undefined ? {} : { precondition }) },
    idempotencyKey,
  })
  return answer.batch
}

/** Also where the page is served without TLS, and `crypto.randomUUID` is missing. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
}
