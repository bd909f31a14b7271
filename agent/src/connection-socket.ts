import {
  type AgentFrame,
  deriveSessionKeys,
  limits,
  openFrame,
  peekPayload,
  sealFrame,
} from '@fleetupdate/sdk/protocol'
import WebSocket from 'ws'
import {
  type Channel,
  type ChannelOptions,
  createSilenceTimer,
  readFrameText,
  receiveIn,
  refusedBy,
} from './channel.ts'
import { agentError, describeError, linkProblem } from './errors.ts'
import { readBody } from './http-request.ts'

const path = '/api/agent/connect'

/**
 * Opens a session over WebSocket: signed upgrade, then `welcome`, whose MAC proves the server, then `hello`. Rejects with FLT_LINK_…
 * where that does not come about within the time given.
 */
export function openSocket(options: ChannelOptions, timeoutMs: number): Promise<Channel> {
  const { serverUrl, ca, signal } = options
  const { identity } = options.keys
  const http = options.http(identity)
  const { headers, nonce } = http.upgrade(path)
  const socket = new WebSocket(`${serverUrl.replace(/^http/, 'ws')}${path}`, {
    headers: { ...headers },
    perMessageDeflate: false,
    followRedirects: false,
    maxPayload: limits.frameBytes + 128,
    ...(ca === undefined ? {} : { ca }),
  })
  return new Promise((resolve, reject) => {
    let keys: ReturnType<typeof deriveSessionKeys> | undefined
    let received = 0
    let sent = 0
    let end: (reason: string) => void = () => undefined
    const ended = new Promise<string>((settle) => {
      end = settle
    })
    const silence = createSilenceTimer(() => fail('the server was silent for 60 s'))
    const give = (): void => socket.terminate()
    const opening = setTimeout(() => fail('no answer in time'), timeoutMs)
    signal.addEventListener('abort', give, { once: true })

    const fail = (problem: string): void => {
      reject(agentError('FLT_LINK_FAILED', { url: serverUrl, way: 'WebSocket', problem }))
      end(problem)
      socket.terminate()
    }
    const send = (frame: AgentFrame): void => {
      if (!keys || socket.readyState !== WebSocket.OPEN) return
      sent += 1
      socket.send(sealFrame(keys, 'a2s', sent, JSON.stringify(frame)))
    }
    const receive = receiveIn(options, send, (reason) => {
      end(reason)
      socket.close(1000)
    })
    const distrust = (problem: string): void => {
      reject(agentError('FLT_LINK_UNTRUSTED', { url: serverUrl, problem }))
      fail(problem)
    }
    /** The first frame brings the nonce its own MAC is checked with. Returns what is wrong with it. */
    const welcome = (text: string): string | undefined => {
      const frame = readFrameText(peekPayload(text) ?? '')
      if (typeof frame === 'string' || frame.type !== 'welcome' || frame.nonce === undefined)
        return 'it did not begin with a welcome'
      const nonces = { agent: nonce, server: frame.nonce }
      const derived = deriveSessionKeys(identity.root, identity, frame.session, nonces)
      if (openFrame(derived, 's2a', 1, text) === undefined) return 'its first frame has a wrong MAC'
      keys = derived
      received = 1
      clearTimeout(opening)
      send(options.hello())
      resolve({ way: 'WebSocket', welcome: frame, identity, send, close: () => socket.close(1000), ended })
      return undefined
    }

    socket.on('message', (data, isBinary) => {
      silence.touch()
      if (isBinary) return fail('it sent a binary message')
      const text = String(data)
      if (!keys) {
        const problem = welcome(text)
        if (problem !== undefined) distrust(problem)
        return
      }
      received += 1
      const payload = openFrame(keys, 's2a', received, text)
      if (payload === undefined) {
        end('a frame of the server had a wrong MAC or sequence')
        return socket.close(4401)
      }
      const frame = readFrameText(payload)
      if (frame === 'malformed') {
        end('a frame of the server does not fit its schema')
        return socket.close(4400)
      }
      if (frame !== 'unknown') receive(frame)
    })
    socket.on('unexpected-response', (_request, response) => {
      readBody(response).then(
        (body) => {
          const answer = { status: response.statusCode ?? 0, headers: response.headers, body }
          reject(refusedBy(serverUrl, http.read(answer, headers.signature)))
          fail('refused')
        },
        (error) => fail(describeError(error)),
      )
    })
    socket.on('error', (error) => fail(linkProblem(error)))
    socket.on('close', (code) => {
      clearTimeout(opening)
      silence.stop()
      signal.removeEventListener('abort', give)
      fail(closeReasons[code] ?? `it was closed (${code})`)
    })
  })
}

const closeReasons: Readonly<Record<number, string>> = {
  1001: 'the server stops',
  4400: 'the server found a frame that does not fit its schema',
  4401: 'the server found a frame with a wrong MAC or sequence',
  4403: 'the server closed the session: this agent was revoked or reset',
  4408: 'the server heard nothing',
  4410: 'this identity is in quarantine: it seems to be used on two machines',
  4409: 'a newer session of the same agent took over; is the identity used on another machine?',
}
