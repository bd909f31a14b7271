import { agentMigrations } from '../agents/migrations.ts'
import { auditMigrations } from '../audit/migrations.ts'
import { peopleMigrations } from '../auth/migrations.ts'
import { commandMigrations } from '../commands/migrations.ts'
import { pluginMigrations } from '../plugins/tables.ts'
import type { MigrationSeries } from './migrate.ts'

/** The history of core.db: one series per room, whose orders are independent of each other. */
export const coreMigrations: readonly MigrationSeries[] = [
  peopleMigrations,
  agentMigrations,
  commandMigrations,
  pluginMigrations,
  auditMigrations,
]
