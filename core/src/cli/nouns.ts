import { agentNoun } from './agent.ts'
import { auditNoun } from './audit.ts'
import { backupVerb } from './backup.ts'
import { configNoun } from './config.ts'
import { restoreVerb } from './restore.ts'
import { serveVerb } from './serve.ts'
import type { Noun } from './verb.ts'
import { versionVerb } from './version.ts'

/** Everything the program can do, in the order of its help. Another noun is one file and one line here. */
export const nouns: Readonly<Record<string, Noun>> = {
  serve: serveVerb,
  agent: agentNoun,
  audit: auditNoun,
  backup: backupVerb,
  restore: restoreVerb,
  config: configNoun,
  version: versionVerb,
}
