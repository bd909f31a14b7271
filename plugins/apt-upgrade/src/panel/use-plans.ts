import type { CommandView } from '@fleetupdate/sdk'
import { type Targets, useFleet, useTopic } from '@fleetupdate/sdk/panel'
import { computed, type Ref, shallowRef } from 'vue'
import { type PlanResult, planResult } from './plan-result.ts'

export interface UpgradeInput {
  readonly mode: 'all' | 'security' | 'selected'
  readonly packages?: readonly string[]
}

export interface HostPlan {
  readonly agentId: string
  readonly commandId: string
  readonly plan: PlanResult
}

export interface Plans {
  readonly total: Readonly<Ref<number>>
  readonly planned: Readonly<Ref<readonly HostPlan[]>>
  readonly failed: Readonly<Ref<readonly CommandView[]>>
  /** Not answered yet: busy, or offline. */
  readonly waiting: Readonly<Ref<readonly CommandView[]>>
  readonly problem: Readonly<Ref<string | undefined>>
  readonly started: Readonly<Ref<boolean>>
  start(targets: Targets, input: UpgradeInput): Promise<void>
  /** Gives up on those that have not answered. */
  stopWaiting(): Promise<void>
}

const pageSize = '200'

/** Asks hosts what an upgrade would change, and gathers the answers as they come. */
export function usePlans(): Plans {
  const fleet = useFleet()
  const commands = shallowRef<ReadonlyMap<string, CommandView>>(new Map())
  const total = shallowRef(0)
  const problem = shallowRef<string>()
  const started = shallowRef(false)
  const givenUp = shallowRef(false)
  let batch: string | undefined

  const read = async (id: string): Promise<void> => {
    let cursor: string | undefined
    do {
      const page = await fleet.commands({ batch: id, limit: pageSize, ...(cursor ? { cursor } : {}) })
      if (id !== batch) return
      take(page.items)
      cursor = page.nextCursor ?? undefined
    } while (cursor)
  }
  const take = (changed: readonly CommandView[]): void => {
    const mine = changed.filter((command) => command.batchId === batch)
    if (mine.length > 0)
      commands.value = new Map([...commands.value, ...mine.map((command) => [command.id, command] as const)])
  }
  useTopic('commands', {
    data(data) {
      if (batch === undefined || typeof data !== 'object' || data === null || !('changed' in data)) return
      if (Array.isArray(data.changed)) take(data.changed)
    },
  })

  const all = computed(() => [...commands.value.values()])
  const isOpen = ({ state }: CommandView): boolean =>
    ['queued', 'offered', 'started', 'running', 'unknown'].includes(state)
  return {
    total,
    problem,
    started,
    planned: computed(() =>
      all.value.flatMap((command) => {
        const plan = command.state === 'succeeded' ? planResult(command.result) : undefined
        return plan ? [{ agentId: command.agentId, commandId: command.id, plan }] : []
      }),
    ),
    failed: computed(() => all.value.filter((command) => !isOpen(command) && command.state !== 'succeeded')),
    waiting: computed(() => (givenUp.value ? [] : all.value.filter(isOpen))),
    async start(targets, input) {
      problem.value = undefined
      started.value = true
      givenUp.value = false
      batch = undefined
      commands.value = new Map()
      try {
        const made = await fleet.submitMany(targets, { command: 'apt-upgrade.plan', input })
        batch = made.id
        total.value = made.total
        await read(made.id)
      } catch (error) {
        problem.value = error instanceof Error ? error.message : String(error)
      }
    },
    async stopWaiting() {
      const open = all.value.filter(isOpen)
      givenUp.value = true
      await Promise.allSettled(open.map(({ id }) => fleet.cancel(id)))
    },
  }
}
