import { type OwnRoutes, usePlace, useRoutes, useText, useTopic } from '@fleetupdate/sdk/panel'
import { computed, type Ref, shallowRef, watch } from 'vue'
import type { FleetVersions } from '../fleet-versions.ts'
import type { RolloutProgress, RolloutSummary } from '../progress.ts'
import { useRefresher } from './refresher.ts'

export interface RolloutsOfFleet {
  readonly fleet: Readonly<Ref<FleetVersions | undefined>>
  /** The newest first. */
  readonly history: Readonly<Ref<readonly RolloutSummary[] | undefined>>
  /** The one that is shown in full: asked for in the address, or what is under way. */
  readonly current: Readonly<Ref<RolloutProgress | undefined>>
  readonly problem: Readonly<Ref<string | undefined>>
  readonly routes: OwnRoutes
  reload(): void
}

const countMs = 1000
const progressMs = 300

/** What the page shows, kept true by the live socket; after a lost connection it is all read again. */
export function useRollouts(): RolloutsOfFleet {
  const routes = useRoutes()
  const place = usePlace()
  const { problem: textOf } = useText()
  const fleet = shallowRef<FleetVersions>()
  const history = shallowRef<readonly RolloutSummary[]>()
  const progress = shallowRef<RolloutProgress>()
  const problem = shallowRef<string>()
  const currentId = computed(() => {
    const [newest] = history.value ?? []
    const isOpen = newest?.state === 'running' || newest?.state === 'halted'
    return place.query.value.rollout ?? (isOpen ? newest.id : undefined)
  })
  const telling = (read: () => Promise<void>) => async (): Promise<void> => {
    try {
      await read()
      problem.value = undefined
    } catch (error) {
      problem.value = textOf(error)
    }
  }

  const readFleet = useRefresher(
    telling(async () => {
      fleet.value = await routes.call<FleetVersions>('GET', 'fleet')
    }),
    countMs,
  )
  const readRollouts = useRefresher(
    telling(async () => {
      history.value = (await routes.call<{ items: readonly RolloutSummary[] }>('GET', 'rollouts')).items
      const id = currentId.value
      progress.value =
        id === undefined ? undefined : await routes.call<RolloutProgress>('GET', `rollouts/${id}/progress`)
    }),
    progressMs,
  )
  const reload = (): void => {
    readFleet()
    readRollouts()
  }
  reload()
  watch(() => place.query.value.rollout, readRollouts)
  // The topics only say that something moved.
  useTopic('agent-update', { data: reload })
  useTopic('agents', { data: readFleet })
  useTopic('commands', {
    data(data) {
      const mine = new Set(progress.value?.busy.map(({ commandId }) => commandId))
      if (changedIds(data).some((id) => mine.has(id))) readRollouts()
    },
  })
  const current = computed(() => (progress.value?.id === currentId.value ? progress.value : undefined))
  return { fleet, history, current, problem, routes, reload }
}

function changedIds(data: unknown): readonly string[] {
  if (typeof data !== 'object' || data === null || !('changed' in data) || !Array.isArray(data.changed))
    return []
  return data.changed.flatMap(({ id }: { id?: unknown }) => (typeof id === 'string' ? [id] : []))
}
