import { agentNoun } from './agent.ts'
import { auditNoun } from './audit.ts'
import { backupVerb } from './backup.ts'
import { completionVerb } from './completion.ts'
import { configNoun } from './config.ts'
import { doctorVerb } from './doctor.ts'
import { pluginNoun } from './plugin.ts'
import { restoreVerb } from './restore.ts'
import { serveVerb } from './serve.ts'
import { tokenNoun } from './token.ts'
import { userNoun } from './user.ts'
import type { Noun } from './verb.ts'
import { versionVerb } from './version.ts'

/** Everything the program can do, in the order of its help. Another noun is one file and one line here. */
export const nouns: Readonly<Record<string, Noun>> = {
  serve: serveVerb,
  user: userNoun,
  agent: agentNoun,
  plugin: pluginNoun,
  token: tokenNoun,
  audit: auditNoun,
  backup: backupVerb,
  restore: restoreVerb,
  doctor: doctorVerb,
  config: configNoun,
  completion: completionVerb(() => nouns),
  version: versionVerb,
}
