import { existsSync } from 'node:fs'
import { sep } from 'node:path'
import { readMasterKey } from '../auth/master-key.ts'
import { createSealer } from '../auth/sealer.ts'
import { openServerSecrets } from '../auth/server-secrets.ts'
import type { ServerConfig } from '../config.ts'
import { openReadHandle } from '../store/read-handle.ts'
import type { Store } from '../store/store.ts'
import type { CoreTables } from '../store/tables.ts'
import { databaseOf } from './data-dir.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

/** The master key: whether it is there, closed to others, apart from the data, and the one the data was written with. */
export async function examineKey({
  dataDir,
  masterKeyFile: file,
}: ServerConfig): Promise<readonly Finding[]> {
  const hasData = existsSync(databaseOf({ dataDir }))
  const restore = 'Put the right file back; without it the keys of all agents are lost.'
  let key: Buffer | undefined
  try {
    key = await readMasterKey(file)
  } catch (error) {
    return [bad('master key', error instanceof Error ? error.message : String(error), 'Do what it says.')]
  }
  if (!key)
    return hasData
      ? [bad('master key', `${file} is missing`, restore)]
      : [ok('master key', `${file} is made at the first start`)]
  const findings: Finding[] = []
  findings.push(
    file.startsWith(`${dataDir}${sep}`)
      ? warn(
          'master key',
          `${file} lies in the data folder: a plain copy of that folder holds the key too`,
          'Move it elsewhere and set MASTER_KEY_FILE; "fleetupdate backup" leaves it out by itself.',
        )
      : ok('master key', `${file}, closed to others and apart from the data`),
  )
  if (!hasData) return findings
  const handle = openReadHandle<CoreTables>(databaseOf({ dataDir }), 30_000)
  try {
    const neverWrites: Store['write'] = () => Promise.reject(new Error('An examination writes nothing.'))
    const reader = { read: handle.query, write: neverWrites } as Pick<Store, 'read' | 'write'> as Store
    const secrets = await openServerSecrets(reader, createSealer(key))
    await secrets.get('people-sessions')
    findings.push(ok('secrets', 'the data was written with this key'))
  } catch (error) {
    findings.push(bad('secrets', error instanceof Error ? error.message : String(error), restore))
  } finally {
    handle.close()
  }
  return findings
}
