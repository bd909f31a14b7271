import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'

/** A network of its own for a few booted hosts: one bridge on this machine, and a namespace with one veth for each. */
export interface Network {
  /** This machine's address in it. */
  readonly here: string
  /** Makes the namespace of one more host, reachable at the address it answers. */
  join(): Place
  remove(): void
}

/** A namespace with one address. */
export interface Place {
  readonly namespace: string
  readonly address: string
}

/** Why no network can be made here, in one line for a skipped test. */
export function networkProblem(): string | undefined {
  return spawnSync('ip', ['-V']).error === undefined
    ? undefined
    : 'a network needs ip: apt-get install iproute2'
}

/** Makes a network with addresses that nobody else on this machine uses. */
export function createNetwork(): Network {
  const id = randomBytes(2)
  const name = `fu${id.toString('hex')}`
  const prefix = `10.${64 + ((id[0] ?? 0) % 128)}.${id[1]}`
  const namespaces: string[] = []
  const undo: (readonly string[])[] = []
  const remove = (): void => {
    for (const args of undo.reverse()) spawnSync('ip', args)
  }
  try {
    undo.push(['link', 'delete', name])
    ip('link', 'add', name, 'type', 'bridge')
    ip('address', 'add', `${prefix}.1/24`, 'dev', name)
    ip('link', 'set', name, 'up')
  } catch (error) {
    remove()
    throw error
  }
  return {
    here: `${prefix}.1`,
    join() {
      const number = namespaces.length + 2
      const namespace = `${name}n${number}`
      const [outer, inner] = [`${name}o${number}`, `${name}i${number}`]
      namespaces.push(namespace)
      undo.push(['netns', 'delete', namespace])
      ip('netns', 'add', namespace)
      ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner)
      ip('link', 'set', outer, 'master', name, 'up')
      ip('link', 'set', inner, 'netns', namespace)
      ip('-n', namespace, 'link', 'set', inner, 'name', 'eth0')
      ip('-n', namespace, 'address', 'add', `${prefix}.${number}/24`, 'dev', 'eth0')
      ip('-n', namespace, 'link', 'set', 'lo', 'up')
      ip('-n', namespace, 'link', 'set', 'eth0', 'up')
      return { namespace, address: `${prefix}.${number}` }
    },
    remove,
  }
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
}
