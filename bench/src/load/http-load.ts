import { connect } from 'node:net'

/**
 * Sends prepared requests over kept-alive connections, one at a time on each, and returns how many were answered 200 a second.
 * Rejects where an answer is another: a refused request is no throughput.
 */
export async function httpLoad(port: number, connections: readonly (readonly Buffer[])[]): Promise<number> {
  const began = performance.now()
  await Promise.all(connections.map((requests) => drive(port, requests)))
  const total = connections.reduce((sum, requests) => sum + requests.length, 0)
  return (total * 1000) / (performance.now() - began)
}

function drive(port: number, requests: readonly Buffer[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    let next = 0
    let received = ''
    const send = (): void => {
      const request = requests[next++]
      if (request) socket.write(request)
      else {
        socket.destroy()
        resolve()
      }
    }
    socket.on('connect', send)
    socket.on('error', reject)
    socket.on('data', (data) => {
      received += data.toString('latin1')
      const head = received.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0)
      if (received.length < head + 4 + length) return
      if (!received.startsWith('HTTP/1.1 200')) return reject(new Error(received.slice(0, 500)))
      received = ''
      send()
    })
  })
}
