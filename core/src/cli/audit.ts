import { join } from 'node:path'
import { checkpointsName } from '../audit/checkpoints.ts'
import { verifyAudit } from '../audit/verify.ts'
import { requireMasterKey } from '../auth/existing-master-key.ts'
import { openReadHandle } from '../store/read-handle.ts'
import type { CoreTables } from '../store/tables.ts'
import { databaseOf, existing } from './data-dir.ts'
import { exitCodes, type Noun, type Verb } from './verb.ts'

const verify: Verb = {
  summary: 'Check that no row of the audit was changed, added or taken away',
  details: [
    'Runs beside the server. A sentence for each finding, and the exit code 1, where the audit is not whole.',
  ],
  examples: ['', '--data-dir /var/lib/orchestrator-server --json'],
  async run(call) {
    const config = existing(call.config())
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

/** What was done on this server. */
export const auditNoun: Noun = { summary: 'What was done and refused', verbs: { verify } }
