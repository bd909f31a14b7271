import { createHmac } from 'node:crypto'
import { enrol, signedPost, type WireIdentity } from '@fleetupdate/core/testing'
import { deriveKey, newNonce, signRequest } from '@fleetupdate/sdk/protocol'
import { startEntry } from '../load/child.ts'
import { httpLoad } from '../load/http-load.ts'
import type { Server } from '../load/server.ts'
import { alternate } from '../rounds.ts'
import type { Measure } from '../stage.ts'
import { perSecond } from '../table.ts'

const connections = 100
const requestsPerRound = 60
const path = '/api/agent/poll'

/** Empty signed polls a second over HTTP, each with its own nonce, against bare Fastify with one HMAC over the same body. */
export const heartbeats: Measure = {
  name: 'heartbeats',
  async measure(stage) {
    const server = await stage.server()
    const ceiling = await startEntry('ceiling-http')
    try {
      const pollers = await Promise.all(
        Array.from({ length: connections }, (_, i) => joinByPoll(server, `poll-${i}`)),
      )
      const bare = pollers.map(({ body }) => repeat(bareRequest(ceiling.port, body)))
      const { reached, ratio } = await alternate(
        7,
        () =>
          httpLoad(
            server.process.port,
            pollers.map((poller) =>
              Array.from({ length: requestsPerRound }, () => signedRequest(server, poller)),
            ),
          ),
        () => httpLoad(ceiling.port, bare),
      )
      return [
        {
          name: 'signed heartbeats over HTTP',
          reached: perSecond(reached),
          ratio,
          bar: '≥ 60 % of bare Fastify + HMAC',
          ok: ratio >= 0.6,
        },
      ]
    } finally {
      await ceiling.stop()
    }
  },
}

interface Poller {
  readonly identity: WireIdentity
  readonly key: Buffer
  readonly body: string
}

/** An agent with a poll session; `body` is its heartbeat. */
async function joinByPoll(server: Server, agentId: string): Promise<Poller> {
  const identity = await enrol(server.url, agentId, { id: 'psk', text: server.psk })
  const url = `${server.url}${path}`
  const first = await signedPost(identity, url, { boot: '', wait: 0, frames: [] })
  const boot = readText(first.body, 'details', 'boot')
  const hello = {
    type: 'hello',
    protocol: 1,
    agentVersion: '0.0.0-bench',
    bootId: 'boot',
    executors: [],
    attempts: [],
  }
  const joined = await signedPost(identity, url, { boot, wait: 0, frames: [hello] })
  const session = readText(joined.body, 'frames', '0', 'session')
  const body = JSON.stringify({ boot, wait: 0, session, frames: [] })
  return { identity, key: deriveKey(identity.root, 'http/a2s', agentId, identity.kid), body }
}

function signedRequest(server: Server, { identity, key, body }: Poller): Buffer {
  const authority = new URL(server.url).host
  const parts = {
    method: 'POST',
    authority,
    path,
    query: '?',
    contentType: 'application/json',
    body: Buffer.from(body),
  }
  const created = Math.floor(Date.now() / 1000)
  return requestBytes(
    authority,
    { ...signRequest(parts, { created, nonce: newNonce(), keyId: identity }, key) },
    body,
  )
}

function bareRequest(port: number, body: string): Buffer {
  const mac = createHmac('sha256', Buffer.alloc(32, 7)).update(body).digest('base64')
  return requestBytes(`127.0.0.1:${port}`, { 'x-mac': mac }, body)
}

function requestBytes(host: string, headers: Readonly<Record<string, string>>, body: string): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n${lines.join('')}\r\n${body}`,
  )
}

function repeat(request: Buffer): readonly Buffer[] {
  return Array.from({ length: requestsPerRound }, () => request)
}

function readText(value: unknown, ...names: readonly string[]): string {
  const found = names.reduce<unknown>(
    (inside, name) => (typeof inside === 'object' && inside !== null ? Reflect.get(inside, name) : undefined),
    value,
  )
  if (typeof found !== 'string') throw new Error(`No ${names.join('.')} in ${JSON.stringify(value)}`)
  return found
}
