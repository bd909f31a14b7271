import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { limits, type WantedExecutor } from '@fleetupdate/sdk/protocol'
import { pause } from '../backoff.ts'
import { makeFolder } from '../durable-file.ts'
import { agentError } from '../errors.ts'
import type { SignedHttp } from '../signed-http.ts'

export interface Downloads {
  /** Fetches a bundle into `incoming/<sha256>`, part by part, going on where an earlier try stopped. Rejects with FLT_DELIVERY_…. */
  fetch(wanted: WantedExecutor): Promise<void>
  has(sha256: string): Promise<boolean>
  /** Removes all but these, also what was half fetched. */
  keepOnly(hashes: readonly string[]): Promise<void>
}

const partMs = 60_000
/** How often one part is asked for again because many agents fetch. */
const mostBusy = 20
/** A bundle is never larger (sdk: bundleLimits.packedBytes); a server that says so is not believed. */
const bundleBytes = 20 * 1024 * 1024

/** Fetches over signed requests with the agent's key of the moment. */
export function createDownloads(
  http: () => Pick<SignedHttp, 'get'>,
  stateDir: string,
  signal: AbortSignal,
): Downloads {
  const incoming = join(stateDir, 'incoming')
  const partOf = (sha256: string): string => join(incoming, `${sha256}.part`)

  const fetchPart = async ({ id, sha256 }: WantedExecutor, from: number): Promise<Buffer> => {
    for (let busy = 0; ; busy += 1) {
      const path = `/api/agent/bundles/${sha256}`
      const answer = await http().get(path, `?from=${from}`, { timeoutMs: partMs, signal })
      if (!answer.trusted)
        throw agentError('FLT_DELIVERY_FAILED', { id, problem: 'the answer is not signed by the server' })
      if (answer.status === 200) return answer.bytes
      if (answer.status !== 503 || busy === mostBusy)
        throw agentError('FLT_DELIVERY_FAILED', {
          id,
          problem: answer.refusal?.code ?? `HTTP ${answer.status}`,
        })
      await pause(answer.retryAfterMs * (1 + Math.random()), signal)
    }
  }
  return {
    has: (sha256) =>
      stat(join(incoming, sha256)).then(
        (found) => found.isFile(),
        () => false,
      ),
    async fetch(wanted) {
      const { id, sha256, bytes } = wanted
      if (bytes > bundleBytes)
        throw agentError('FLT_DELIVERY_FAILED', { id, problem: `it has ${bytes} bytes` })
      await makeFolder(incoming)
      const file = await open(partOf(sha256), 'a', 0o600)
      try {
        let from = (await file.stat()).size
        while (from < bytes) {
          const part = await fetchPart(wanted, from)
          if (part.length === 0 || part.length > limits.bundlePartBytes)
            throw agentError('FLT_DELIVERY_FAILED', { id, problem: `a part has ${part.length} bytes` })
          await file.appendFile(part)
          from += part.length
        }
      } finally {
        await file.close()
      }
      if ((await hashOf(partOf(sha256))) !== sha256) {
        await rm(partOf(sha256), { force: true })
        throw agentError('FLT_DELIVERY_FAILED', { id, problem: 'what came is not what was promised' })
      }
      await rename(partOf(sha256), join(incoming, sha256))
    },
    async keepOnly(hashes) {
      for (const name of await readdir(incoming).catch(() => []))
        if (!hashes.includes(name.replace(/\.part$/, ''))) await rm(join(incoming, name), { force: true })
    },
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path)) hash.update(part)
  return hash.digest('hex')
}
