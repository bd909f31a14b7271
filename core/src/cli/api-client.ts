import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { hostname } from 'node:os'
import { FleetError } from '@fleetupdate/sdk'
import { consoleUserHeader } from '../auth/console-peers.ts'
import type { ServerConfig } from '../config.ts'
import { fleetError } from '../errors.ts'
import type { World } from './verb.ts'

/** The HTTP API of one server. Answers are unknown until a verb looked; refusals are thrown with the server's own code and sentence. */
export interface Api {
  get(path: string): Promise<unknown>
  send(method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<unknown>
  upload(path: string, type: string, bytes: Buffer): Promise<unknown>
  /** The bytes of an answer, as they come. */
  read(path: string): Promise<AsyncIterable<Buffer>>
}

export interface ApiTarget {
  readonly socketPath?: string
  /** Also with a path, where a proxy gives the server one. */
  readonly server?: URL
  readonly headers: Readonly<Record<string, string>>
}

const timeoutMs = 60_000

/** Speaks to a socket or over the network. */
export function createApi({ socketPath, server, headers }: ApiTarget): Api {
  const name = server?.href ?? socketPath ?? ''
  const ask = (
    method: string,
    path: string,
    type?: string,
    body?: Buffer | string,
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const options: RequestOptions = {
        method,
        headers: {
          ...headers,
          ...(type === undefined ? {} : { 'content-type': type }),
          'content-length': body === undefined ? 0 : Buffer.byteLength(body),
        },
        timeout: timeoutMs,
      }
      const prefix = server?.pathname.replace(/\/$/, '') ?? ''
      const start = server?.protocol === 'https:' ? httpsRequest : httpRequest
      const request = server
        ? start(new URL(`${prefix}${path}`, server), options, resolve)
        : start({ ...options, path, ...(socketPath === undefined ? {} : { socketPath }) }, resolve)
      request.once('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
      request.once('error', (cause: Error) =>
        reject(fleetError('FLT_CLI_SERVER', { server: name, problem: cause.message }, { cause })),
      )
      request.end(body)
    })
  const json = async (
    method: string,
    path: string,
    type?: string,
    body?: Buffer | string,
  ): Promise<unknown> => {
    const answer = await ask(method, path, type, body)
    const value = parse(await textOf(answer))
    if ((answer.statusCode ?? 500) < 300) return value
    throw refusal(answer.statusCode ?? 500, value, name)
  }
  return {
    get: (path) => json('GET', path),
    send: (method, path, body) =>
      body === undefined ? json(method, path) : json(method, path, 'application/json', JSON.stringify(body)),
    upload: (path, type, bytes) => json('POST', path, type, bytes),
    async read(path) {
      const answer = await ask('GET', path)
      if (answer.statusCode === 200) return answer
      throw refusal(answer.statusCode ?? 500, parse(await textOf(answer)), name)
    },
  }
}

/** What the console says of itself: who called it, and the name by which others may know this server. */
export function consoleHeaders(
  { host, port, allowedHosts }: Pick<ServerConfig, 'host' | 'port' | 'allowedHosts'>,
  { user }: Pick<World, 'user'>,
): Readonly<Record<string, string>> {
  const isEverywhere = host === '0.0.0.0' || host === '::'
  const name = allowedHosts[0] ?? (isEverywhere ? hostname() : host)
  return {
    host: /:\d+$/.test(name) ? name : `${name}:${port}`,
    [consoleUserHeader]: encodeURIComponent(user),
  }
}

/** Whether no server listens on its socket. */
export function isNobodyThere(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && /^(ENOENT|ECONNREFUSED)$/.test(String(cause.code))
}

function refusal(status: number, value: unknown, server: string): FleetError {
  if (typeof value === 'object' && value !== null && 'code' in value && 'message' in value) {
    const { code, message } = value
    if (typeof code === 'string' && /^FLT_[A-Z_]+$/.test(code))
      return new FleetError(code, status, String(message), 'details' in value ? value.details : undefined)
  }
  return fleetError('FLT_CLI_SERVER', {
    server,
    problem: `it answered ${status}, and no FleetUpdate does that`,
  })
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of answer) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
