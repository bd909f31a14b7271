import { connect, createServer, type Socket } from 'node:net'

/** A network between agents and server that can be broken. */
export interface Proxy {
  readonly url: string
  /** From now on: `open`; `cut` refuses and ends all connections; `stall` lets nothing through and tells nobody; `no-upgrade` answers WebSocket with 403; `no-answers` ends a connection when the server answers. */
  mode: 'open' | 'cut' | 'stall' | 'no-upgrade' | 'no-answers'
  /** Lets nothing more through the connections of this moment, and tells nobody; new ones work. */
  freeze(): void
  /** Ends all connections by a reset. */
  reset(): void
  /** Called when a WebSocket was accepted by the server. */
  onUpgraded: () => void
  /** Called when the proxy refused a WebSocket. */
  onRefused: () => void
  close(): Promise<void>
}

/** Starts a proxy on loopback before a port of this machine; each way takes `latencyMs` longer. */
export async function startProxy(targetPort: number, latencyMs = 0): Promise<Proxy> {
  const links = new Set<{ readonly client: Socket; readonly server: Socket }>()
  let mode: Proxy['mode'] = 'open'
  const server = createServer((client) => {
    if (mode === 'cut') return client.destroy()
    const upstream = connect(targetPort, '127.0.0.1')
    const link = { client, server: upstream }
    links.add(link)
    const end = (): void => {
      links.delete(link)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end).setNoDelay()
    if (mode === 'stall') pauseLink(link)
    let isFirst = true
    client.on('data', (bytes) => {
      const asksUpgrade = isFirst && /^upgrade: websocket/im.test(bytes.toString('latin1'))
      isFirst = false
      if (asksUpgrade && mode === 'no-upgrade') {
        client.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
        proxy.onRefused()
      } else later(latencyMs, () => upstream.write(bytes))
    })
    let isAnswered = false
    upstream.on('data', (bytes) => {
      if (mode === 'no-answers') return end()
      if (!isAnswered && bytes.toString('latin1', 0, 12) === 'HTTP/1.1 101') proxy.onUpgraded()
      isAnswered = true
      later(latencyMs, () => client.write(bytes))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
  const proxy: Proxy = {
    url: `http://127.0.0.1:${address.port}`,
    get mode() {
      return mode
    },
    set mode(next) {
      mode = next
      for (const link of links) {
        if (next === 'cut' || next === 'no-upgrade') link.client.destroy()
        else if (next === 'stall') pauseLink(link)
        else if (next === 'open') {
          link.client.resume()
          link.server.resume()
        }
      }
    },
    freeze() {
      for (const link of links) pauseLink(link)
    },
    reset() {
      for (const { client, server: upstream } of links) {
        client.resetAndDestroy()
        upstream.resetAndDestroy()
      }
    },
    onUpgraded: () => undefined,
    onRefused: () => undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const { client } of links) client.destroy()
      }),
  }
  return proxy
}

function pauseLink({ client, server }: { readonly client: Socket; readonly server: Socket }): void {
  client.pause()
  server.pause()
}

function later(ms: number, act: () => void): void {
  if (ms === 0) act()
  else setTimeout(act, ms)
}
