import { cliError } from './errors.ts'

export type Answer = Readonly<Record<string, unknown>>

/** Asks a running server as an admin; rejects with FLT_CLI_SERVER where it does not answer or refuses. */
export type AdminApi = (method: string, path: string, body?: Buffer | object) => Promise<Answer>

/** The way to one server with one token. */
export function createAdminApi(server: string, token: string): AdminApi {
  return async (method, path, body) => {
    const isBundle = Buffer.isBuffer(body)
    const type = isBundle ? 'application/vnd.fleetupdate.bundle' : 'application/json'
    const response = await fetch(new URL(path, server), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body: isBundle ? new Uint8Array(body) : JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw cliError('FLT_CLI_SERVER', { server, status: 'nothing', problem: String(error) })
    })
    const answer = (await response.json().catch(() => ({}))) as Answer
    if (response.ok) return answer
    const problem = `${answer.code ?? ''} ${answer.message ?? ''}`.trim()
    throw cliError('FLT_CLI_SERVER', { server, status: response.status, problem })
  }
}
