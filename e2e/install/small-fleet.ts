import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { expect } from 'vitest'
import { type Machine, startMachine } from './machine.ts'
import { createNetwork } from './network.ts'
import { createReleases, type Releases } from './releases.ts'

/** A machine with a server that was installed from an archive, and another that may become its agent. */
export interface SmallFleet {
  readonly releases: Releases
  readonly server: Machine
  readonly vm: Machine
  readonly url: string
  readonly client: FleetClient
  /** The line that is pasted on a machine to make it the agent of this name. */
  invitation(agentId: string): Promise<string>
  /** Puts a clean machine in the place of the server's; nothing is installed on it. */
  replaceServer(): Promise<Machine>
  /** Somebody who is logged in, once the server answers. */
  logIn(): Promise<FleetClient>
  remove(): Promise<void>
}

const serverKind = { suite: 'bookworm', flavour: 'machine' } as const

/** Boots both and installs version 0.9.1 of the server. Where anything fails, nothing is left. */
export async function startSmallFleet(): Promise<SmallFleet> {
  const releases = createReleases()
  const network = createNetwork()
  const machines: Machine[] = []
  const remove = async (): Promise<void> => {
    for (const machine of machines.splice(0)) await machine.remove()
    network.remove()
    releases.remove()
  }
  try {
    let server = await startMachine(network, serverKind)
    machines.push(server)
    const vm = await startMachine(network, { suite: 'trixie', flavour: 'machine-node' })
    machines.push(vm)
    installServer(server, releases)
    const url = `http://${server.address}:8000`
    const comeIn = (): Promise<FleetClient> => logIn(url, 'admin', 'correct horse')
    const client = await comeIn()
    return {
      ...{ releases, vm, url, client, remove },
      get server() {
        return server
      },
      async invitation(agentId) {
        const made = await client.request<{ command: string }>('POST', '/api/enrolment/tokens', { agentId })
        expect(made.body).toHaveProperty('command')
        return made.body.command
      },
      async replaceServer() {
        const { place } = server
        machines.splice(machines.indexOf(server), 1)
        await server.remove()
        server = await startMachine(network, { ...serverKind, place })
        machines.push(server)
        return server
      },
      logIn: () => client.until('the server', () => comeIn().catch(() => false)),
    }
  } catch (error) {
    await remove()
    throw error
  }
}

/** Installs version 0.9.1 as a person does who has the archive and asks for no questions. */
export function installServer(server: Machine, releases: Releases): void {
  server.give(releases.build('0.9.1', 1), 'server.tar.gz')
  const unpack = 'mkdir /root/un && tar -xzf /root/server.tar.gz -C /root/un --strip-components=1'
  const settings = { NO_PROMPT: '1', UI_PASSWORD: 'correct horse' }
  const done = server.paste(`${unpack} && sh /root/un/install.sh`, settings)
  expect(`${done.exitCode}: ${done.stdout}${done.stderr}`).toMatch(/^0: .*FleetUpdate 0\.9\.1 runs/s)
}
