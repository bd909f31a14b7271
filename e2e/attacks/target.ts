import { type FleetClient, logIn, startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { enrol, type Identity } from './hostile-agent.ts'

/** A real server under attack, and what an attacker could get hold of. */
export interface Target {
  readonly fleet: TestFleet
  readonly url: string
  readonly admin: FleetClient
  readonly viewer: FleetClient
  /** Everything that must not be found anywhere, by name. */
  readonly secrets: Map<string, string | Buffer>
  enrol(agentId: string): Promise<Identity>
  restartServer(): Promise<void>
  stop(): Promise<void>
}

const psk = 'a-secret-for-tests-0123456789'
const viewerPassword = 'looks but never touches'

/** Starts it with an admin and a viewer, and without agents. */
export async function startTarget(): Promise<Target> {
  const fleet = await startTestFleet({ agents: [] })
  const { client: admin, url } = fleet
  await admin.request('POST', '/api/users', { name: 'viewer', role: 'viewer', password: viewerPassword })
  const viewer = await logIn(url, 'viewer', viewerPassword)
  const secrets = new Map<string, string | Buffer>([
    ['SERVER_PSK', psk],
    ["the admin's password", 'a password for tests'],
    ["the viewer's password", viewerPassword],
    ['JWT_SECRET', 'a-signing-secret-for-tests-0123456789'],
    ["the admin's session", admin.token],
    ["the viewer's session", viewer.token],
  ])
  return {
    ...{ fleet, url, admin, viewer, secrets },
    async enrol(agentId) {
      const identity = await enrol(url, agentId, { id: 'psk', text: psk })
      secrets.set(`the key of ${agentId}`, identity.root)
      return identity
    },
    async restartServer() {
      await fleet.server.kill('SIGKILL')
      await fleet.server.restart()
    },
    stop: () => fleet.stop(),
  }
}
