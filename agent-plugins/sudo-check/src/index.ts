import { sudoCheck } from '@fleetupdate/plugin-sudo-check/contract'
import { defineExecutor, type ExecutorContext, type PrivilegeState } from '@fleetupdate/sdk/executor'
import { reportLine } from './report-line.ts'

export default defineExecutor(sudoCheck, {
  facts: { privileges: { everySeconds: 300, collect: probe } },
  commands: {
    async check(_input, context) {
      const privileges = await probe(context)
      for (const privilege of privileges) context.write(`${reportLine(privilege)}\n`)
      return { ok: privileges.every((privilege) => privilege.ok), privileges }
    },
  },
})

/** In an order that does not change from round to round, so that the fact is only sent when something changed. */
async function probe({ privileges }: ExecutorContext): Promise<PrivilegeState[]> {
  const states = await privileges()
  return states
    .map(({ id, plugin, ok, missing }) =>
      missing === undefined ? { id, plugin, ok } : { id, plugin, ok, missing },
    )
    .sort((a, b) => compare(a.plugin, b.plugin) || compare(a.id, b.id))
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
