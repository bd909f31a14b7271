import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { Log } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** What a TLS server needs, read from its files. */
export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
  readonly leaf: X509Certificate
}

/** Reads both files and makes sure that they belong together. Throws FLT_TLS_CERTIFICATE with the fix. */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const cert = await read('TLS_CERT_FILE', certFile)
  const key = await read('TLS_KEY_FILE', keyFile)
  try {
    const leaf = new X509Certificate(cert)
    createSecureContext({ cert, key })
    return { cert, key, leaf }
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    const files = `${certFile} and ${keyFile}`
    throw fleetError(
      'FLT_TLS_CERTIFICATE',
      { file: files, problem: `they do not fit each other (${problem})` },
      { cause },
    )
  }
}

const lookEveryMs = 60_000

/** Keeps a server's certificate as its files are. New connections get the new one, open ones go on; one that does not fit is reported, and the old one stays. */
export function followCertificate(
  server: Pick<Server, 'setSecureContext'>,
  files: CertificateFiles,
  first: Certificate,
  log: Log,
): { reload(): Promise<void>; stop(): void } {
  let known = hashOf(first)
  const reload = async (): Promise<void> => {
    try {
      const next = await readCertificate(files)
      if (hashOf(next) === known) return
      server.setSecureContext({ cert: next.cert, key: next.key })
      known = hashOf(next)
      log.info('The TLS certificate was renewed', { until: next.leaf.validTo })
    } catch (error) {
      log.error(`The TLS certificate stays as it was. ${error instanceof Error ? error.message : error}`)
    }
  }
  const timer = setInterval(() => void reload(), lookEveryMs)
  timer.unref()
  return { reload, stop: () => clearInterval(timer) }
}

async function read(setting: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    const problem = `${setting} cannot be read (${cause instanceof Error ? cause.message : cause})`
    throw fleetError('FLT_TLS_CERTIFICATE', { file, problem }, { cause })
  }
}

function hashOf({ cert, key }: Certificate): string {
  return createHash('sha256').update(cert).update('\0').update(key).digest('hex')
}
