import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface FleetPrograms {
  /** Entry file of the server; its plugins and dashboard are found from there. */
  readonly server: string
  /** Entry file of the agent. */
  readonly agent: string
}

const names = { server: 'core', agent: 'agent' } as const

/**
 * Where a server and an agent to try a plugin in are: in `installation` alone where it is given (a checkout, or a folder like
 * `/opt/orchestrator`); else the packages beside the plugin in `from`; else the checkout this sdk lies in. Throws a sentence where there is none.
 */
export function findPrograms(from: string = process.cwd(), installation?: string): FleetPrograms {
  const find = (part: keyof FleetPrograms): string => {
    const places = installation === undefined ? usual(from, part) : inside(resolve(installation), part)
    const found = places.find((file) => existsSync(file))
    if (found !== undefined) return found
    throw new Error(
      installation === undefined
        ? `No ${part} to try the plugin in. Install the package @fleetupdate/${names[part]} beside the sdk, or name a checkout or an installation: --server /opt/orchestrator`
        : `${installation} holds no built ${part}; none of these is there: ${places.join(', ')}`,
    )
  }
  return { server: find('server'), agent: find('agent') }
}

/** The executors that come with that agent; undefined where none do. */
export function builtInExecutors({ agent }: FleetPrograms): string | undefined {
  const places = ['executors', '../../agent-plugins'].map((place) => join(dirname(agent), place))
  return places.find((folder) => existsSync(folder))
}

function usual(from: string, part: keyof FleetPrograms): readonly string[] {
  const name = `@fleetupdate/${names[part]}`
  const checkout = fileURLToPath(new URL('../../..', import.meta.url))
  return [installed(from, name), join(checkout, names[part], 'dist/main.js')].filter(
    (file) => file !== undefined,
  )
}

function installed(from: string, name: string): string | undefined {
  try {
    const require = createRequire(join(resolve(from), 'package.json'))
    return join(dirname(require.resolve(`${name}/package.json`)), 'dist/main.js')
  } catch {
    return undefined
  }
}

function inside(folder: string, part: keyof FleetPrograms): readonly string[] {
  return [
    join(folder, names[part], 'dist/main.js'),
    join(folder, part, 'current/main.js'),
    join(folder, 'node_modules/@fleetupdate', names[part], 'dist/main.js'),
  ]
}
