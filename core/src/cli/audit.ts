import { type FileHandle, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { checkpointsName } from '../audit/checkpoints.ts'
import { verifyAudit } from '../audit/verify.ts'
import { requireMasterKey } from '../auth/existing-master-key.ts'
import { fleetError } from '../errors.ts'
import { openReadHandle } from '../store/read-handle.ts'
import type { CoreTables } from '../store/tables.ts'
import { apiOptions, withApi } from './api.ts'
import { asOwner, databaseOf } from './data-dir.ts'
import { exitCodes, type Noun, type Verb } from './verb.ts'

const verify: Verb = {
  summary: 'Check that no row of the audit was changed, added or taken away',
  details: [
    'Runs beside the server. A sentence for each finding, and the exit code 1, where the audit is not whole.',
  ],
  examples: ['', '--data-dir /var/lib/orchestrator-server --json'],
  async run(call) {
    const config = asOwner(call.config(), call.world)
    const masterKey = await requireMasterKey(config)
    const checkpoints = join(config.dataDir, checkpointsName)
    const handle = openReadHandle<CoreTables>(databaseOf(config), 30_000)
    try {
      const report = await verifyAudit({ read: handle.query, masterKey, checkpoints })
      const { rows, problems, unsigned } = report
      const counts = `${rows} rows, ${report.checkpoints} signed checkpoints, ${unsigned} rows newer than the last`
      const isWhole = problems.length === 0
      return {
        lines: [...problems, `The audit is ${isWhole ? 'whole' : 'NOT whole'}: ${counts}.`],
        json: { whole: isWhole, ...report },
        exitCode: isWhole ? exitCodes.done : exitCodes.finding,
      }
    } finally {
      handle.close()
    }
  },
}

const exportAll: Verb = {
  summary: 'Write the whole audit as JSON lines, oldest first',
  options: {
    out: { value: 'FILE', summary: 'Write it here, closed to others, instead of printing it' },
    ...apiOptions,
  },
  examples: ['> audit.jsonl', '--out /root/audit.jsonl'],
  async run(call) {
    const out = call.text('out')
    const path = out === undefined ? undefined : resolve(call.world.cwd, out)
    // Before this process goes on as the server's user, who may write less.
    const file = path === undefined ? undefined : await openNew(path)
    let rows = 0
    try {
      await withApi(call, async (api) => {
        for await (const line of linesOf(await api.read('/api/audit/export'))) {
          rows += 1
          if (file) await file.write(`${line}\n`)
          else call.world.print(line)
        }
      })
      await file?.sync()
    } finally {
      await file?.close()
    }
    return {
      lines: path === undefined ? [] : [`${rows} rows are in ${path}.`],
      json: path === undefined ? undefined : { rows, file: path },
    }
  },
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw fleetError('FLT_CLI_FILE', { path, problem }, { cause })
  }
}

async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  for await (const line of createInterface({
    input: Readable.from(bytes),
    crlfDelay: Number.POSITIVE_INFINITY,
  }))
    yield line
}

/** What was done on this server. */
export const auditNoun: Noun = { summary: 'What was done and refused', verbs: { verify, export: exportAll } }
