import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'

const patienceMs = 60_000

/** A file of the server, whole and within a limit. Nothing is believed of it: root's updater judges all of it by its signature. */
export function get(url: string, limit: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
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
