import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface CertificateWish {
  /** `DNS:localhost`, `IP:127.0.0.1`; several with commas. */
  readonly names: string
  /** In days from now. Default: since yesterday, for thirty days. */
  readonly from?: number
  readonly until?: number
}

export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

/** An authority of its own, in a folder of its own, that signs whatever is asked. */
export interface Authority {
  readonly folder: string
  /** Its own certificate. */
  readonly file: string
  readonly pem: string
  sign(name: string, wish: CertificateWish): CertificateFiles
  remove(): void
}

/** Why no certificate can be made; undefined where one can. */
export function opensslProblem(): string | undefined {
  return existsSync('/usr/bin/openssl') ? undefined : 'There is no /usr/bin/openssl.'
}

const dayMs = 86_400_000
const elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
/** As `openssl ca` reads it, the only verb of version 3.0 that lets both ends of the validity be chosen. */
const config = `
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
`

export function createAuthority(commonName: string): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'authority-'))
  const run = (...args: readonly string[]): void =>
    void execFileSync('openssl', [...args], { cwd: folder, stdio: 'pipe' })
  writeFileSync(join(folder, 'ca.cnf'), config)
  writeFileSync(join(folder, 'index.txt'), '')
  writeFileSync(join(folder, 'serial'), '01\n')
  run(
    ...['req', '-x509', ...elliptic, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '3650'],
    ...['-subj', `/CN=${commonName}`],
  )
  const file = join(folder, 'ca.pem')
  return {
    ...{ folder, file, pem: readFileSync(file, 'utf8') },
    sign(name, { names, from = -1, until = 30 }) {
      run(
        ...['req', '-new', ...elliptic, '-keyout', `${name}.key`, '-out', `${name}.csr`],
        ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`],
      )
      run(
        ...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key'],
        ...['-startdate', stamp(from), '-enddate', stamp(until), '-in', `${name}.csr`, '-out', `${name}.pem`],
      )
      return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** `20260101120000Z` */
function stamp(days: number): string {
  const iso = new Date(Date.now() + days * dayMs).toISOString()
  return `${iso.slice(0, 19).replace(/\D/g, '')}Z`
}
