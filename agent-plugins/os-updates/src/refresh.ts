import { type CommandContext, waitForLocks } from '@fleetupdate/sdk/executor'
import { indexRefreshedAt } from './apt-index.ts'
import { aptReason } from './apt-reason.ts'

/** Must equal the privilege `refresh-index` of the manifest to the letter. */
export const refreshArguments = [
  '--quiet',
  '-o',
  'DPkg::Lock::Timeout=600',
  '-o',
  'APT::Update::Error-Mode=any',
  'update',
] as const

/**
 * Fetches the lists of all repositories. A single repository out of reach is a failure with apt's own words: else a part of the index
 * would silently grow old.
 */
export async function refresh(context: CommandContext): Promise<{ refreshedAt: string | null }> {
  // apt's own waiting does not cover this lock: it gives up within milliseconds [m].
  await waitForLocks(context, {
    files: ['/var/lib/apt/lists/lock'],
    onWait({ pid, command }) {
      context.progress({ message: `Waiting for process ${pid} (${command})` })
      context.write(`Waiting: process ${pid} (${command}) is fetching the package index.\n`)
    },
  })
  context.checkpoint()
  context.progress({ message: 'Fetching the package index' })
  const finished = await context.run('/usr/bin/apt-get', refreshArguments, {
    okCodes: anyCode,
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (finished.exitCode !== 0) {
    context.fail(aptReason(finished.tail ?? '', 'apt-get update failed; its output says why.'), {
      exitCode: finished.exitCode,
    })
  }
  const refreshedAt = await indexRefreshedAt(context.root)
  return { refreshedAt: refreshedAt?.toISOString() ?? null }
}

const anyCode = Array.from({ length: 256 }, (_, code) => code)
