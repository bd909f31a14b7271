import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { findPrograms } from '@fleetupdate/sdk/testing'
import type { Attack } from '../attack.ts'
import type { Target } from '../target.ts'

/** All that earlier attacks used as a secret, looked for wherever it must not be. */
export const secretsAttack: Attack = {
  name: 'secrets',
  title: 'secrets searched in the data folder, a backup, the log, the process list and the API',
  required: '0 found',
  async run(target) {
    const places = new Map<string, Buffer>([['the log', Buffer.from(target.fleet.server.output())]])
    await addFiles(target.fleet.dataDir, places)
    await addBackup(target.fleet.dataDir, places)
    await addProcesses(places)
    await addAnswers(target, places)
    const found: string[] = []
    for (const [name, secret] of target.secrets)
      for (const needle of spellings(secret))
        for (const [place, bytes] of places) if (bytes.includes(needle)) found.push(`${name} in ${place}`)
    const more = found.length === 0 ? '' : `: ${[...new Set(found)].slice(0, 5).join('; ')}`
    return {
      passed: found.length === 0,
      reached: `${found.length} of ${target.secrets.size} secrets in ${places.size} places${more}`,
    }
  },
}

/** As it is; a key also as hex and base64. A session by its signature, which is what lets in. */
function spellings(secret: string | Buffer): readonly Buffer[] {
  if (typeof secret === 'string') return [Buffer.from(secret.split('.').at(-1) ?? secret)]
  const texts = (['hex', 'base64', 'base64url'] as const).map((form) =>
    secret.toString(form).replace(/=+$/, ''),
  )
  return [secret, ...texts.map((text) => Buffer.from(text))]
}

async function addFiles(folder: string, places: Map<string, Buffer>): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    // The key that opens the others is kept apart in an installation.
    if (entry.isFile() && entry.name !== 'master.key') places.set(path, await readFile(path))
  }
}

/** As `fleetupdate backup` makes one, unpacked. */
async function addBackup(dataDir: string, places: Map<string, Buffer>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-backup-'))
  const file = join(folder, 'backup.tar.gz')
  const { PATH = '' } = process.env
  try {
    const env = { PATH, DATA_DIR: dataDir }
    await promisify(execFile)(process.execPath, [findPrograms().server, 'backup', file], { env })
    places.set('a backup', gunzipSync(await readFile(file)))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What every user of the machine may read of every process. */
async function addProcesses(places: Map<string, Buffer>): Promise<void> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const line = await readFile(`/proc/${pid}/cmdline`).catch(() => undefined)
    if (line) places.set(`the arguments of process ${pid}`, line)
  }
}

async function addAnswers({ admin }: Target, places: Map<string, Buffer>): Promise<void> {
  for (const path of [
    'agents',
    'users',
    'tokens',
    'enrolment/tokens',
    'audit?limit=500',
    'audit/export',
    'plugins',
  ]) {
    const { body } = await admin.request('GET', `/api/${path}`)
    places.set(`GET /api/${path}`, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)))
  }
}
