import { readFileSync } from 'node:fs'
import { arch, hostname, release } from 'node:os'
import type { EnrolAbout } from '@fleetupdate/sdk/protocol'
import { version } from './version.ts'

/** What a person who must let this machine in is shown of it. */
export function aboutThisMachine(): EnrolAbout {
  const about = { hostname: hostname(), os: osName(), kernel: release(), arch: arch(), agentVersion: version }
  return Object.fromEntries(Object.entries(about).map(([name, text]) => [name, text.slice(0, 200)]))
}

function osName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? ''
  } catch {
    return ''
  }
}
