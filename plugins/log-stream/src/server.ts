import { definePlugin, type PluginContext } from '@fleetupdate/sdk'
import { logStream } from './contract.ts'
import { createOutputTopic } from './live-topic.ts'
import { createOutputPages } from './output-pages.ts'
import { registerOutput } from './output-route.ts'
import { createOutputStore } from './output-store.ts'
import { deleteOldOutput } from './retention.ts'
import { registerStream } from './stream-route.ts'
import { migrations } from './tables.ts'
import { createWatchedCommands } from './watched-commands.ts'

const dayMs = 24 * 60 * 60 * 1000
/** Settings `retentionDays` and `totalMegabytes`; these stand where they are not set. */
const defaults = { retentionDays: 90, totalMegabytes: 20 * 1024 }

/** Keeps the output of all commands and serves it: stored, live and resumed. */
export default definePlugin(logStream, {
  migrations,
  setup(context) {
    const { db, http, events, signal, log } = context
    const readCommand = context.commands.read
    const report = (error: unknown): void =>
      log.warn('A viewer could not be served', { error: String(error) })
    const pages = createOutputPages(db)
    const commands = createWatchedCommands({ pages, readCommand, report })
    const store = createOutputStore(db, commands.stored)
    context.output.provide(store)
    events.on('command.updated', ({ commandId }) => commands.hint(commandId))
    events.on('output.appended', ({ commandId, end }) => commands.hint(commandId, end))
    // Every stream ends within 2 s of the last state, also where no hint came.
    context.schedule.every(1500, (stopped) => commands.sweep(stopped))
    context.schedule.every(10 * 60_000, async (stopped) => {
      const limits = await readLimits(context)
      const deleted = await deleteOldOutput({ db, readCommand, forget: store.forget }, limits, stopped)
      if (deleted > 0) log.info('Deleted the output of old commands', { commands: deleted })
    })
    registerStream(http.root, { commands, pages, signal, heartbeatMs: 15_000, stallMs: 30_000, report })
    registerOutput(http.root, { pages, readCommand })
    context.live.topic('output', createOutputTopic(commands, pages))
  },
})

async function readLimits({
  settings,
}: Pick<PluginContext, 'settings'>): Promise<{ before: number; totalBytes: number }> {
  const read = async (key: keyof typeof defaults): Promise<number> => {
    const value = await settings.get(key)
    return typeof value === 'number' && value > 0 ? value : defaults[key]
  }
  const [days, megabytes] = await Promise.all([read('retentionDays'), read('totalMegabytes')])
  return { before: Date.now() - days * dayMs, totalBytes: megabytes * 1024 * 1024 }
}
