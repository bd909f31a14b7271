import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { BaseFlavour } from '../apt-root/base.ts'
import { type AptRoot, createAptRoot, type Finished } from '../apt-root/create-apt-root.ts'
import { type BootedHost, bootRoot } from '../systemd-host/boot-root.ts'
import type { Network, Place } from './network.ts'

/** A clean Debian, booted, in a network of the test. */
export interface Machine {
  readonly root: AptRoot
  readonly address: string
  /** Where it is in the network: once it is removed, another machine may take its place. */
  readonly place: Place
  readonly host: BootedHost
  /** Runs a program inside and waits. */
  run(argv: readonly string[]): Finished
  /** Runs a line as a person would paste it into bash. `user`: instead of root. */
  paste(line: string, env?: Readonly<Record<string, string>>): Finished
  /** The same for what takes up to ten minutes. */
  pasteLong(line: string, env?: Readonly<Record<string, string>>): Promise<Finished>
  /** Copies a file of this machine into its /root and answers the path there. */
  give(file: string, name?: string): string
  /** Writes a file inside, of root alone. */
  write(path: string, content: string | Buffer): void
  /** Every file below these folders with its owner, mode and hash: two equal texts are two equal trees. */
  fingerprint(...paths: readonly string[]): string
  /** Powers off and boots the same root. */
  reboot(): Promise<void>
  /** Kills everything that runs in it at once, and boots what is on its own disk by then. */
  cutPower(): Promise<void>
  remove(): Promise<void>
}

export async function startMachine(
  network: Network,
  {
    place = network.join(),
    ...options
  }: {
    readonly suite: string
    readonly flavour: BaseFlavour
    readonly place?: Place
    readonly ownDisk?: boolean
  },
): Promise<Machine> {
  const root = await createAptRoot(options)
  const { namespace, address } = place
  let host = await bootRoot(root, { networkNamespace: namespace })
  const run = (argv: readonly string[]): Finished => host.run(argv)
  return {
    root,
    address,
    place,
    get host() {
      return host
    },
    run,
    paste: (line, env) => run(shellLine(line, env)),
    pasteLong: (line, env) => host.runLong(shellLine(line, env), 600_000),
    give(file, name = basename(file)) {
      const target = join('/root', name)
      mkdirSync(join(root.directory, 'root'), { recursive: true })
      copyFileSync(file, join(root.directory, target))
      return target
    },
    write(path, content) {
      const target = join(root.directory, path)
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, content, { mode: 0o600 })
    },
    fingerprint: (...paths) =>
      run([
        'sh',
        '-c',
        'for p in "$@"; do [ -e "$p" ] && find "$p" -printf "%p %u:%g %m %l " -a \\( -type f -exec sh -c \'sha256sum < "$1"\' _ {} \\; -o -printf "\\n" \\); done | sort',
        'sh',
        ...paths,
      ]).stdout,
    async reboot() {
      await host.powerOff()
      host = await bootRoot(root, { networkNamespace: namespace })
    },
    async cutPower() {
      await host.kill()
      await root.losePower()
      host = await bootRoot(root, { networkNamespace: namespace })
    },
    async remove() {
      await host.powerOff()
      await root.dispose()
    },
  }
}

function shellLine(line: string, env: Readonly<Record<string, string>> = {}): readonly string[] {
  return ['env', ...Object.entries(env).map(([key, value]) => `${key}=${value}`), 'bash', '-c', line]
}

/** A line that prints whatever of FleetUpdate is on a machine. */
export const traces =
  'find /opt /etc /var/lib /usr/local/bin -xdev \\( -iname "*orchestrator*" -o -iname "*fleetupdate*" \\) -prune -print 2>/dev/null | sort'

/** Whether a path exists inside. */
export function existsIn({ root }: Machine, path: string): boolean {
  return existsSync(join(root.directory, path))
}
