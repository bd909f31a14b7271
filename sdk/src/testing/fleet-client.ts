import type { AgentView, CommandView } from '../api/views.ts'

/** What the server answered; `body` is parsed JSON, or text where it is none. */
export interface Answer<T = unknown> {
  readonly status: number
  readonly headers: Headers
  readonly body: T
}

/** A logged-in client of a real server, for tests. */
export interface FleetClient {
  readonly url: string
  readonly token: string
  request<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>
  agent(id: string): Promise<AgentView | undefined>
  command(id: string): Promise<CommandView>
  /** Submits and rejects unless it was accepted. */
  submit(agentId: string, command: string, input?: unknown, options?: object): Promise<CommandView>
  /** Waits until a command has ended; rejects after the time. */
  finished(commandId: string, timeoutMs?: number): Promise<CommandView>
  /** Asks again until the answer is there; rejects after the time with what was waited for. */
  until<T>(what: string, ask: () => Promise<T | undefined | false>, timeoutMs?: number): Promise<T>
}

const terminal: ReadonlySet<string> = new Set([
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'expired',
  'rejected',
])

/** Logs in and returns the client. */
export async function logIn(url: string, username: string, password: string): Promise<FleetClient> {
  const answer = await ask<{ token: string }>(`${url}/api/auth/login`, 'POST', { username, password }, {})
  if (answer.status !== 200) throw new Error(`The login was refused: ${JSON.stringify(answer.body)}`)
  return createClient(url, answer.body.token)
}

function createClient(url: string, token: string): FleetClient {
  const client: FleetClient = {
    url,
    token,
    request: (method, path, body, headers = {}) =>
      ask(`${url}${path}`, method, body, { authorization: `Bearer ${token}`, ...headers }),
    async agent(id) {
      const { status, body } = await client.request<AgentView>('GET', `/api/agents/${id}`)
      return status === 200 ? body : undefined
    },
    async command(id) {
      return (await client.request<CommandView>('GET', `/api/commands/${id}`)).body
    },
    async submit(agentId, command, input = {}, options = {}) {
      const answer = await client.request<CommandView>('POST', `/api/agents/${agentId}/commands`, {
        command,
        input,
        ...options,
      })
      if (answer.status !== 202)
        throw new Error(`${command} was not accepted: ${JSON.stringify(answer.body)}`)
      return answer.body
    },
    finished: (id, timeoutMs = 60_000) =>
      client.until(
        `the end of command ${id}`,
        async () => {
          const command = await client.command(id)
          return terminal.has(command.state) && command
        },
        timeoutMs,
      ),
    async until(what, poll, timeoutMs = 30_000) {
      const deadline = performance.now() + timeoutMs
      for (;;) {
        const value = await poll()
        if (value !== undefined && value !== false) return value
        if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs / 1000} s for ${what}.`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
  }
  return client
}

async function ask<T>(
  url: string,
  method: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answer<T>> {
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: parse(text) as T }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
