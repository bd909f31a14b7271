import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Server } from './state.ts'

const patienceMs = 60_000

/** A file below `/install` of the server, whole and within a limit. Nothing is believed of it: root's updater judges all of it by its signature. */
export function get(
  server: Server,
  path: string,
  { limit, signal }: { readonly limit: number; readonly signal: AbortSignal },
): Promise<Buffer> {
  const url = `${server.url}/install/${path}`
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
      ...(server.ca === undefined ? {} : { ca: server.ca }),
    })
    request.once('error', (error) => reject(new Error(`${url} cannot be fetched: ${error.message}`)))
    request.once('response', (response) => {
      const parts: Buffer[] = []
      let bytes = 0
      if (response.statusCode !== 200) {
        response.resume()
        reject(new Error(`${url} answered ${response.statusCode}`))
        return
      }
      response.on('data', (part: Buffer) => {
        bytes += part.length
        if (bytes > limit) request.destroy(new Error(`it has more than ${limit} bytes`))
        else parts.push(part)
      })
      response.once('end', () => resolve(Buffer.concat(parts)))
      response.once('error', reject)
    })
    request.end()
  })
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
