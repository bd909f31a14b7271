import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { Server } from './server.ts'

/** What the topic `output:<command>` says. */
export interface OutputMessage {
  readonly end?: number
  readonly text?: string
  readonly ended?: boolean
}

/** The live socket of a browser's tab, already open. */
export class LiveSocket {
  readonly #socket: WebSocket
  readonly #listeners = new Map<string, (data: OutputMessage) => void>()

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data) => {
      const { topic, data: said }: { topic?: string; data?: OutputMessage } = JSON.parse(String(data))
      if (topic !== undefined && said) this.#listeners.get(topic)?.(said)
    })
  }

  static async open({ url, client }: Server): Promise<LiveSocket> {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/api/ws`, {
      headers: { authorization: `Bearer ${client.token}` },
      perMessageDeflate: false,
    })
    await once(socket, 'open')
    return new LiveSocket(socket)
  }

  /** Watches the output of a command from its start; resolves at its end. */
  watchOutput(commandId: string, listener: (message: OutputMessage) => void): Promise<void> {
    const topic = `output:${commandId}`
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error('The live socket was closed.'))
      this.#socket.once('close', gone)
      this.#listeners.set(topic, (message) => {
        listener(message)
        if (message.ended !== true) return
        this.#listeners.delete(topic)
        this.#socket.off('close', gone)
        this.#socket.send(JSON.stringify({ op: 'unsubscribe', topic }))
        resolve()
      })
      this.#socket.send(JSON.stringify({ op: 'subscribe', topic, from: 0 }))
    })
  }

  close(): void {
    this.#socket.terminate()
  }
}
