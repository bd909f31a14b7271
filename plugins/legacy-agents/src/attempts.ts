import type { GatewayAttempt, PluginDatabase } from '@fleetupdate/sdk'
import type { AttemptRow } from './tables.ts'

/** The attempts old agents were given, kept over restarts of the server. */
export interface Attempts {
  of(agentId: string): Promise<readonly AttemptRow[]>
  find(agentId: string, commandId: string): Promise<AttemptRow | undefined>
  add(row: AttemptRow): Promise<void>
  moveTo(commandId: string, outputEnd: number): Promise<void>
  remove(commandId: string): Promise<void>
  overdue(nowMs: number): Promise<readonly AttemptRow[]>
}

export function createAttempts({ query, write }: PluginDatabase): Attempts {
  const all = () => query.selectFrom('attempts').selectAll()
  return {
    of: (agentId) => all().where('agentId', '=', agentId).execute() as Promise<AttemptRow[]>,
    find: (agentId, commandId) =>
      all().where('commandId', '=', commandId).where('agentId', '=', agentId).executeTakeFirst() as Promise<
        AttemptRow | undefined
      >,
    async add(row) {
      await write([{ ...query.insertInto('attempts').values(row).compile(), expectedRows: 1 }])
    },
    async moveTo(commandId, outputEnd) {
      await write([
        query.updateTable('attempts').set({ outputEnd }).where('commandId', '=', commandId).compile(),
      ])
    },
    async remove(commandId) {
      await write([query.deleteFrom('attempts').where('commandId', '=', commandId).compile()])
    },
    overdue: (nowMs) => all().where('deadlineMs', '<', nowMs).execute() as Promise<AttemptRow[]>,
  }
}

export function attemptOf({ commandId, epoch, startedAt }: AttemptRow): GatewayAttempt {
  return { commandId, epoch, startedAt }
}
