import type { IncomingMessage } from 'node:http'
import { connect as connectHttp2, type SecureClientSessionOptions } from 'node:http2'
import { request } from 'node:https'
import { rootCertificates } from 'node:tls'

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
  /** Which of this machine's loopback addresses asks. */
  readonly from?: string
}

export interface Through {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** Asks a proxy on this machine by HTTP/1.1, as a client with that address. */
export async function ask(url: string, ca: string, asked: Asked = {}): Promise<Through> {
  const answer = await open(url, ca, asked)
  let text = ''
  for await (const part of answer) text += part
  return { status: answer.statusCode ?? 0, headers: answer.headers, text }
}

/** The answer before its body. */
export function open(url: string, ca: string, asked: Asked = {}): Promise<IncomingMessage> {
  const { method = 'GET', headers = {}, body, from } = asked
  return new Promise((resolve, reject) => {
    const { port, pathname, search, host } = new URL(url)
    const outgoing = request(
      {
        ...{ host: '127.0.0.1', port, path: `${pathname}${search}`, method, servername: 'localhost' },
        ...{ ca: [ca, ...rootCertificates], agent: false },
        ...(from === undefined ? {} : { localAddress: from }),
        headers: {
          host,
          ...headers,
          ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
        },
      },
      resolve,
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** The same by HTTP/2; rejects where the proxy does not speak it. */
export function askHttp2(url: string, ca: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const { port, pathname, host } = new URL(url)
    const session = connectHttp2(`https://localhost:${port}`, { ca, family: 4 } as SecureClientSessionOptions)
    session.on('error', reject)
    const stream = session.request({ ':path': pathname, ':authority': host })
    let status = 0
    let text = ''
    stream.setEncoding('utf8')
    stream.on('response', (headers) => {
      status = Number(headers[':status'])
    })
    stream.on('data', (part) => {
      text += part
    })
    stream.on('error', reject)
    stream.on('end', () => {
      session.close()
      resolve({ status, text })
    })
    stream.end()
  })
}
