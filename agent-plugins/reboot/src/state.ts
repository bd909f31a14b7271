import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { RebootState } from '@fleetupdate/plugin-reboot/contract'
import type { ExecutorContext } from '@fleetupdate/sdk/executor'
import { newestLike } from './kernel.ts'

/** Collects the fact `state` from files alone; no program is started. */
export async function collectState(context: ExecutorContext): Promise<RebootState> {
  const runningKernel = await line(context, '/proc/sys/kernel/osrelease')
  const installedKernel = newestLike(runningKernel, await installedKernels(context))
  const packages = await readPackages(context)
  const waiting = installedKernel !== null && installedKernel !== runningKernel
  return {
    required: waiting || packages.length > 0 || (await context.exists('/run/reboot-required')),
    reasons: waiting ? [...packages, `kernel ${installedKernel} is installed`] : packages,
    runningKernel,
    installedKernel,
    bootId: await line(context, '/proc/sys/kernel/random/boot_id'),
    bootedAt: await bootTime(context),
    scheduledAt: await readScheduledAt(context),
  }
}

/** When systemd will reboot this host; null where no reboot is scheduled. */
export async function readScheduledAt({ readFile }: ExecutorContext): Promise<string | null> {
  const text = (await readFile('/run/systemd/shutdown/scheduled')) ?? ''
  const microseconds = /^USEC=(\d+)$/m.exec(text)?.[1]
  if (microseconds === undefined || !/^MODE=(reboot|kexec)$/m.test(text)) return null
  return new Date(Math.round(Number(microseconds) / 1000)).toISOString()
}

/** Packages that asked for a reboot, as Debian's and Ubuntu's hooks write them down. */
async function readPackages({ readFile }: ExecutorContext): Promise<string[]> {
  const text = (await readFile('/run/reboot-required.pkgs')) ?? ''
  const names = text.split('\n').map((name) => name.trim().slice(0, 200))
  return [...new Set(names.filter((name) => name !== ''))].sort().slice(0, 100)
}

async function installedKernels({ root }: ExecutorContext): Promise<string[]> {
  const files = await readdir(join(root, '/boot')).catch(() => [])
  return files.flatMap((file) => (file.startsWith('vmlinuz-') ? [file.slice('vmlinuz-'.length)] : []))
}

/** `btime` of /proc/stat, in whole seconds. */
async function bootTime({ readFile }: ExecutorContext): Promise<string> {
  const seconds = /^btime (\d+)$/m.exec((await readFile('/proc/stat')) ?? '')?.[1]
  if (seconds === undefined) throw new Error('/proc/stat has no "btime" line; mount /proc on this host.')
  return new Date(Number(seconds) * 1000).toISOString()
}

async function line({ readFile }: ExecutorContext, path: string): Promise<string> {
  return ((await readFile(path)) ?? '').trim().slice(0, 200)
}
