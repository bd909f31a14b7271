import type { ExecutorView } from '@fleetupdate/sdk'
import { t } from '../text.ts'

export interface ExecutorState {
  readonly key: 'missing' | 'refused' | 'modified' | 'failed' | 'other' | 'ok'
  readonly tone: 'neutral' | 'danger' | 'warning' | 'ok'
}

/** How an agent holds an executor: the worst that can be said of it. */
export function executorState(
  executor: ExecutorView | null | undefined,
  hash: string | undefined,
): ExecutorState {
  if (!executor) return { key: 'missing', tone: 'neutral' }
  if (executor.trust === 'refused') return { key: 'refused', tone: 'danger' }
  if (executor.trust === 'modified') return { key: 'modified', tone: 'danger' }
  if (executor.health === 'failed') return { key: 'failed', tone: 'danger' }
  if (hash !== undefined && hash !== executor.contractHash) return { key: 'other', tone: 'warning' }
  return { key: 'ok', tone: 'ok' }
}

/** Why its host lets it run: built in, signed by whom, unsigned. Undefined where that goes without saying or is not known. */
export function trustText({ trust, publisher }: ExecutorView): string | undefined {
  if (trust === 'built-in') return t('trust.builtIn')
  if (trust === 'signed') return publisher ? t('trust.signedBy', { name: publisher }) : t('trust.signed')
  if (trust === 'unsigned') return t('trust.unsigned')
  return undefined
}
