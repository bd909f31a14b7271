import { readdir } from 'node:fs/promises'
import { machine } from 'node:os'
import { join } from 'node:path'
import type { System } from '@fleetupdate/plugin-os-updates/contract'
import type { FactContext } from '@fleetupdate/sdk/executor'
import { newerKernelInstalled } from './kernel.ts'

/** Collects the fact `system` from files alone; no program is started. */
export async function collectSystem(context: FactContext): Promise<System> {
  const [release, kernel, hostname, bootedAt] = await Promise.all([
    context.readFile('/etc/os-release'),
    line(context, '/proc/sys/kernel/osrelease'),
    line(context, '/proc/sys/kernel/hostname'),
    bootTime(context),
  ])
  return {
    os: osName(release ?? ''),
    kernel,
    arch: machine(),
    hostname,
    bootedAt,
    rebootRequired: await rebootRequired(context, kernel),
  }
}

/** The name for people in an os-release file, for example `Debian GNU/Linux 12 (bookworm)`. */
export function osName(release: string): string {
  const values = new Map(
    release.split('\n').map((entry) => {
      const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(entry.trim()) ?? []
      return [key, value.replace(/^(["'])(.*)\1$/, '$2').replace(/\\(.)/g, '$1')] as const
    }),
  )
  return (values.get('PRETTY_NAME') || values.get('NAME') || 'Linux').slice(0, 200)
}

/** `btime` of /proc/stat, in whole seconds: it does not change while the host is up. */
async function bootTime(context: FactContext): Promise<string> {
  const seconds = /^btime (\d+)$/m.exec((await context.readFile('/proc/stat')) ?? '')?.[1]
  if (seconds === undefined) throw new Error('/proc/stat has no "btime" line; mount /proc on this host.')
  return new Date(Number(seconds) * 1000).toISOString()
}

async function rebootRequired(context: FactContext, kernel: string): Promise<boolean> {
  if (await context.exists('/run/reboot-required')) return true
  if (await context.exists('/var/run/reboot-required')) return true
  const files = await readdir(join(context.root, '/boot')).catch(() => [])
  const prefix = 'vmlinuz-'
  const installed = files.filter((file) => file.startsWith(prefix)).map((file) => file.slice(prefix.length))
  return newerKernelInstalled(kernel, installed)
}

async function line(context: FactContext, path: string): Promise<string> {
  return ((await context.readFile(path)) ?? '').trim()
}
