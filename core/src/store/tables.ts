import type { AgentTables } from '../agents/tables.ts'
import type { AuditTables } from '../audit/tables.ts'
import type { PeopleTables } from '../auth/tables.ts'
import type { CommandTables } from '../commands/tables.ts'
import type { PluginTables } from '../plugins/tables.ts'

/** Every table of core.db; each room describes its own. Times are Unix milliseconds. */
export type CoreTables = AgentTables & AuditTables & PeopleTables & CommandTables & PluginTables
