import { setTimeout as pause } from 'node:timers/promises'
import type { AgentView, CommandView } from '@fleetupdate/sdk'
import type { Answer, FleetClient } from '@fleetupdate/sdk/testing'

/** Talks to a server that may be away at any moment: asks again until it answers. */
export interface PatientClient {
  request<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>
  /** Submits with an Idempotency-Key until it is accepted: afterwards the server owes this command. */
  submit(
    agentId: string,
    command: string,
    input: unknown,
    key: string,
    options?: object,
  ): Promise<CommandView>
  agent(id: string): Promise<AgentView | undefined>
  command(id: string): Promise<CommandView>
  output(id: string): Promise<string>
  until<T>(what: string, poll: () => Promise<T | undefined | false>, timeoutMs?: number): Promise<T>
}

const retryMs = 25
const mostMs = 60_000

/** Wraps a logged-in client. Only what carries no risk of doubling is repeated: reads, and submits with a key. */
export function createPatientClient(client: FleetClient): PatientClient {
  const patient: PatientClient = {
    async request(method, path, body, headers) {
      const giveUp = performance.now() + mostMs
      for (;;) {
        try {
          const answer = await client.request<never>(method, path, body, headers)
          if (answer.status !== 503 || performance.now() > giveUp) return answer
        } catch (error) {
          if (performance.now() > giveUp) throw error
        }
        await pause(retryMs)
      }
    },
    async submit(agentId, command, input, key, options = {}) {
      const answer = await patient.request<CommandView>(
        'POST',
        `/api/agents/${agentId}/commands`,
        { command, input, ...options },
        { 'idempotency-key': key },
      )
      if (answer.status !== 202)
        throw new Error(`${command} was not accepted: ${JSON.stringify(answer.body)}`)
      return answer.body
    },
    async agent(id) {
      const { status, body } = await patient.request<AgentView>('GET', `/api/agents/${id}`)
      return status === 200 ? body : undefined
    },
    async command(id) {
      return (await patient.request<CommandView>('GET', `/api/commands/${id}`)).body
    },
    async output(id) {
      return String((await patient.request('GET', `/api/commands/${id}/output`)).body)
    },
    async until(what, poll, timeoutMs = 60_000) {
      const giveUp = performance.now() + timeoutMs
      for (;;) {
        const value = await poll()
        if (value !== undefined && value !== false) return value
        if (performance.now() > giveUp) throw new Error(`Waited ${timeoutMs / 1000} s for ${what}.`)
        await pause(100)
      }
    },
  }
  return patient
}
