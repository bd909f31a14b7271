import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface SelfMadeCertificate {
  readonly certFile: string
  readonly keyFile: string
  readonly pem: string
}

/** Writes a certificate for localhost that is its own authority, valid for a day. Needs openssl. */
export function makeCertificate(dir: string, name: string): SelfMadeCertificate {
  const certFile = join(dir, `${name}.pem`)
  const keyFile = join(dir, `${name}.key`)
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, '-days', '1', ...subject], {
    stdio: 'pipe',
  })
  return { certFile, keyFile, pem: readFileSync(certFile, 'utf8') }
}
