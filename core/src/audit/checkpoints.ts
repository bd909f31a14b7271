import { createPrivateKey, createPublicKey, hkdfSync, sign, verify } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'

/** How far a chain was at a moment, signed. */
export interface Checkpoint {
  readonly chain: string
  readonly seq: number
  /** Of the row with this number. */
  readonly hash: string
  /** ISO 8601. */
  readonly at: string
}

/** Name of the file in DATA_DIR. */
export const checkpointsName = 'audit-checkpoints.jsonl'

/** The file of checkpoints: JSON lines, appended and synced, outside the database. */
export interface CheckpointFile {
  /** Durable when it resolves. */
  append(checkpoint: Checkpoint): Promise<void>
  /** Those whose signature is right, in order, and a sentence for each line that is not. A missing file is empty. */
  read(): Promise<{ readonly checkpoints: readonly Checkpoint[]; readonly problems: readonly string[] }>
  /** Ed25519, PEM: whoever has it can check copies of the file. */
  readonly publicKey: string
}

const line = Compile(
  Type.Object({
    chain: Type.String(),
    seq: Type.Integer({ minimum: 1 }),
    hash: Type.String(),
    at: Type.String(),
    signature: Type.String(),
  }),
)
/** PKCS #8 of an Ed25519 key up to its 32 bytes. */
const keyPrefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Opens it. The signing key is derived from the master key. A last line that a power cut tore is cut off at the next append. */
export async function openCheckpointFile(path: string, masterKey: Uint8Array): Promise<CheckpointFile> {
  const seed = Buffer.from(hkdfSync('sha256', masterKey, '', 'fleetupdate/v1/audit-checkpoints', 32))
  const privateKey = createPrivateKey({ key: Buffer.concat([keyPrefix, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey)
  return {
    publicKey: String(publicKey.export({ format: 'pem', type: 'spki' })),
    async append(checkpoint) {
      const signature = sign(null, signedText(checkpoint), privateKey).toString('base64')
      const handle = await open(path, 'a+', 0o600)
      try {
        await cutTornLine(handle)
        await handle.appendFile(`${JSON.stringify({ ...checkpoint, signature })}\n`)
        await handle.sync()
      } finally {
        await handle.close()
      }
    },
    async read() {
      const checkpoints: Checkpoint[] = []
      const problems: string[] = []
      const lines = (await textOf(path)).split('\n')
      // The last one is empty, or torn and never acknowledged.
      for (const [index, text] of lines.slice(0, -1).entries()) {
        const value = parse(text)
        if (line.Check(value)) {
          const { signature, ...checkpoint } = value
          if (verify(null, signedText(checkpoint), publicKey, Buffer.from(signature, 'base64'))) {
            checkpoints.push(checkpoint)
            continue
          }
        }
        problems.push(`Line ${index + 1} of ${path} does not carry this server's signature.`)
      }
      return { checkpoints, problems }
    },
  }
}

function signedText({ chain, seq, hash, at }: Checkpoint): Buffer {
  return Buffer.from(`fleetupdate/v1/audit-checkpoint\n${JSON.stringify([chain, seq, hash, at])}`)
}

async function cutTornLine(handle: Awaited<ReturnType<typeof open>>): Promise<void> {
  const { size } = await handle.stat()
  const tail = Buffer.alloc(Math.min(size, 4096))
  await handle.read(tail, 0, tail.length, size - tail.length)
  const torn = tail.length - 1 - tail.lastIndexOf(0x0a)
  if (torn > 0) await handle.truncate(size - torn)
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
