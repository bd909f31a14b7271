import { createHmac } from 'node:crypto'
import type { Socket } from 'node:net'
import { enrol, signedHeaders } from '@fleetupdate/core/testing'
import {
  deriveSessionKeys,
  newNonce,
  peekPayload,
  type ServerFrameOf,
  type SessionKeys,
  sealFrame,
} from '@fleetupdate/sdk/protocol'
import { startEntry } from '../load/child.ts'
import { clientFrame, frameLoad, openFrameSocket } from '../load/frame-load.ts'
import type { Server } from '../load/server.ts'
import { alternate } from '../rounds.ts'
import type { Measure } from '../stage.ts'
import { perSecond } from '../table.ts'

const sockets = 100
const framesPerRound = 300
const window = 16

/** Heartbeat frames a second over WebSocket, ping for pong, against a bare ws echo that checks one HMAC and makes another. */
export const frames: Measure = {
  name: 'frames',
  async measure(stage) {
    const server = await stage.server()
    const ceiling = await startEntry('ceiling-ws')
    const links: Link[] = []
    const echoes: Socket[] = []
    try {
      for (let i = 0; i < sockets; i++) {
        links.push(await join(server, `frames-${i}`))
        echoes.push((await openFrameSocket(`http://127.0.0.1:${ceiling.port}/`, {}, 0)).socket)
      }
      const bare = clientFrame(bareMessage('{"type":"ping"}'))
      const { reached, ratio } = await alternate(
        7,
        () =>
          frameLoad(
            links.map((link) => ({ socket: link.socket, frames: pings(link) })),
            window,
          ),
        () =>
          frameLoad(
            echoes.map((socket) => ({ socket, frames: Array.from({ length: framesPerRound }, () => bare) })),
            window,
          ),
      )
      return [
        {
          name: 'heartbeat frames over WebSocket',
          reached: perSecond(reached),
          ratio,
          bar: '≥ 60 % of bare ws echo + HMAC',
          ok: ratio >= 0.6,
        },
      ]
    } finally {
      for (const socket of [...links.map((link) => link.socket), ...echoes]) socket.destroy()
      await ceiling.stop()
    }
  },
}

interface Link {
  readonly socket: Socket
  readonly keys: SessionKeys
  sent: number
}

async function join(server: Server, agentId: string): Promise<Link> {
  const identity = await enrol(server.url, agentId, { id: 'psk', text: server.psk })
  const url = `${server.url}/api/agent/connect`
  const nonce = newNonce()
  const headers = signedHeaders(identity, { method: 'GET', url, nonce })
  const { socket, greeting } = await openFrameSocket(url, headers, 1)
  const welcome: ServerFrameOf<'welcome'> = JSON.parse(peekPayload(greeting[0] ?? '') ?? '{}')
  const nonces = { agent: nonce, server: welcome.nonce ?? '' }
  const keys = deriveSessionKeys(identity.root, identity, welcome.session, nonces)
  const link = { socket, keys, sent: 0 }
  const hello = {
    type: 'hello',
    protocol: 1,
    agentVersion: '0.0.0-bench',
    bootId: 'boot',
    executors: [],
    attempts: [],
  }
  socket.write(sealed(link, JSON.stringify(hello)))
  return link
}

function pings(link: Link): readonly Buffer[] {
  return Array.from({ length: framesPerRound }, () => sealed(link, '{"type":"ping"}'))
}

function sealed(link: Link, payload: string): Buffer {
  link.sent++
  return clientFrame(sealFrame(link.keys, 'a2s', link.sent, payload))
}

function bareMessage(payload: string): string {
  const mac = createHmac('sha256', Buffer.alloc(32, 7)).update(payload).digest('base64url')
  return `${mac} ${payload}`
}
