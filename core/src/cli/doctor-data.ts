import { existsSync, statSync } from 'node:fs'
import { readdir, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import type { ServerConfig } from '../config.ts'
import { databaseOf } from './data-dir.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

/** File systems of the network, by their magic numbers: SQLite's locks and its log in shared memory are not safe there. */
const networkFileSystems: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'CIFS',
  4266872130: 'SMB2',
  1702057286: 'FUSE',
}
const megabyte = 1024 * 1024

/** The data folder: who may read it, how much room it has, and whether each database in it is whole. */
export async function examineData({ dataDir }: ServerConfig): Promise<readonly Finding[]> {
  const found = statSync(dataDir, { throwIfNoEntry: false })
  if (!found)
    return [warn('data', `${dataDir} is not there yet`, 'It is made at the first start. Is DATA_DIR right?')]
  const findings: Finding[] = []
  const mode = (found.mode & 0o777).toString(8)
  findings.push(
    (found.mode & 0o077) === 0
      ? ok('data', `${dataDir}, closed to other users`)
      : warn('data', `${dataDir} can be entered by other users (mode ${mode})`, `Run: chmod 700 ${dataDir}`),
  )
  findings.push(...(await examineRoom(dataDir)))
  if (!existsSync(databaseOf({ dataDir })))
    return [...findings, warn('database', 'there is none yet', 'It is made at the first start.')]
  findings.push(...(await examineDatabases(dataDir)))
  return findings
}

async function examineRoom(dataDir: string): Promise<readonly Finding[]> {
  const { bavail, bsize, blocks, files, ffree, type } = await statfs(dataDir)
  const free = Math.floor((bavail * bsize) / megabyte)
  const percent = Math.round((bavail / Math.max(1, blocks)) * 100)
  const says = `${free} MB free (${percent} %)`
  const fix = `Free some space on the file system of ${dataDir}, or move DATA_DIR to a larger one.`
  const findings = [
    free < 100 ? bad('disk', says, fix) : free < 1000 ? warn('disk', says, fix) : ok('disk', says),
  ]
  if (files > 0 && ffree / files < 0.02) findings.push(warn('disk', 'almost no inodes are left', fix))
  const network = networkFileSystems[type]
  if (network !== undefined)
    findings.push(
      bad(
        'disk',
        `${dataDir} lies on ${network}, where SQLite can lose data`,
        'Put DATA_DIR on a disk of this machine.',
      ),
    )
  return findings
}

async function examineDatabases(dataDir: string): Promise<readonly Finding[]> {
  const folder = join(dataDir, 'plugins-data')
  const names = existsSync(folder)
    ? (await readdir(folder)).filter((name) => name.endsWith('.db')).sort()
    : []
  const files = [databaseOf({ dataDir }), ...names.map((name) => join(folder, name))]
  const findings = files.flatMap((file) => examineDatabase(file))
  if (findings.length > 0) return findings
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0)
  return [ok('database', `${files.length} databases are whole, ${Math.ceil(bytes / megabyte)} MB`)]
}

/** Reads every page; beside a server that writes too. */
function examineDatabase(file: string): readonly Finding[] {
  const fix = `Stop the server and restore a backup (fleetupdate restore). Keep a copy of ${dirname(file)}.`
  let database: Database.Database | undefined
  try {
    database = new Database(file, { readonly: true, timeout: 30_000 })
    const rows = database.pragma('quick_check(3)') as { quick_check: string }[]
    const problems = rows.map((row) => row.quick_check).filter((text) => text !== 'ok')
    return problems.length === 0 ? [] : [bad('database', `${file} is damaged: ${problems.join('; ')}`, fix)]
  } catch (error) {
    return [bad('database', `${file}: ${error instanceof Error ? error.message : error}`, fix)]
  } finally {
    database?.close()
  }
}
