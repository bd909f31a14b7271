import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPrograms, startProcess, type TestProcess } from '@fleetupdate/sdk/testing'
import type { CertificateFiles } from './certificates.ts'

export const psk = 'a-secret-for-tests-0123456789'
export const password = 'a password for tests'

export interface TlsAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** The real server with a certificate, on loopback, and a way to ask it. */
export interface TlsServer {
  readonly port: number
  /** Uses this certificate from now on, as after a renewal. */
  use(files: CertificateFiles): Promise<void>
  ask(method: string, path: string, options?: TlsQuestion): Promise<TlsAnswer>
  stop(): Promise<void>
}

export interface TlsQuestion {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly ca?: string
}

export async function startTlsServer(files: CertificateFiles, ca: string): Promise<TlsServer> {
  const dataDir = mkdtempSync(join(tmpdir(), 'tls-fleet-'))
  const live = { cert: join(dataDir, 'live.pem'), key: join(dataDir, 'live.key') }
  const put = ({ cert, key }: CertificateFiles): void => {
    copyFileSync(cert, live.cert)
    copyFileSync(key, live.key)
  }
  put(files)
  let port = 0
  const server: TestProcess = await startProcess({
    entry: findPrograms().server,
    environment: () => ({
      ...{ DATA_DIR: dataDir, HOST: '127.0.0.1', PORT: '0', SERVER_PSK: psk },
      ...{ UI_USER: 'admin', UI_PASSWORD: password, JWT_SECRET: 'a-signing-secret-for-tests-0123456789' },
      ...{ TLS_CERT_FILE: live.cert, TLS_KEY_FILE: live.key },
    }),
    ready: async (child) => {
      port = await readyPort(child)
    },
  })
  return {
    port,
    async use(next) {
      put(next)
      const said = server.output().length
      process.kill(server.pid, 'SIGHUP')
      const deadline = performance.now() + 10_000
      while (!server.output().slice(said).includes('The TLS certificate was renewed')) {
        if (performance.now() > deadline)
          throw new Error(`The certificate was not taken up:\n${server.output()}`)
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
    ask: (method, path, { headers = {}, body, ca: authority = ca } = {}) =>
      new Promise((resolve, reject) => {
        // A connection each: some answers end theirs.
        const options = {
          agent: false,
          host: '127.0.0.1',
          servername: 'localhost',
          port,
          method,
          path,
          headers,
          ca: authority,
        }
        const asked = request(options, (answer) => {
          let text = ''
          answer.setEncoding('utf8')
          answer.on('data', (part) => {
            text += part
            // A stream has no end of its own; its head is all that is wanted.
            if (answer.headers['content-type']?.startsWith('text/event-stream')) asked.destroy()
          })
          answer.on('close', () =>
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
          )
        })
        asked.on('upgrade', (answer, socket) => {
          socket.destroy()
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: '' })
        })
        asked.on('error', (cause) => reject(new Error(`${method} ${path}: ${cause.message}`, { cause })))
        asked.end(body)
      }),
    async stop() {
      await server.kill('SIGTERM')
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function readyPort(child: ChildProcess): Promise<number> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [{ type?: string; url?: string }]
    if (message.type === 'ready' && message.url) return Number(new URL(message.url).port)
  }
}
