import type { SubmitOptions } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'

const dayMs = 24 * 3_600_000
const furthestMs = 366 * dayMs

/** When a command may start, in Unix ms: `expiresAt` is 24 h after the earliest start unless the caller says otherwise. */
export function readTiming(
  options: Pick<SubmitOptions, 'notBefore' | 'expiresAt'>,
  nowMs: number,
): { readonly notBefore: number | null; readonly expiresAt: number } {
  const notBefore = options.notBefore === undefined ? null : readTime('notBefore', options.notBefore)
  const earliest = Math.max(nowMs, notBefore ?? nowMs)
  const expiresAt =
    options.expiresAt === undefined ? earliest + dayMs : readTime('expiresAt', options.expiresAt)
  if (expiresAt <= earliest)
    throw fleetError('FLT_HTTP_INVALID', { problem: 'expiresAt is not after now and notBefore' })
  if (expiresAt > nowMs + furthestMs)
    throw fleetError('FLT_HTTP_INVALID', { problem: 'expiresAt is more than a year away' })
  return { notBefore, expiresAt }
}

function readTime(name: string, text: string): number {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw fleetError('FLT_HTTP_INVALID', { problem: `${name} is not an ISO 8601 time` })
  return time
}
