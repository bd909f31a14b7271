import { createReadStream } from 'node:fs'
import { fleetError } from '../errors.ts'
import { addressOf } from '../http/public-urls.ts'
import type { Route, RouteCall } from '../http/routes.ts'
import type { AgentRelease } from './agent-release.ts'
import { servedInstaller } from './installer.ts'

export interface InstallRouteDeps {
  /** undefined: this server has none to hand out. */
  readonly release: AgentRelease | undefined
  readonly publicUrls: readonly URL[]
}

/**
 * What a new machine fetches before it has a key: the installer and the release of the agent. All of it is public and signed; secrets
 * travel in the pasted line alone.
 */
export function installRoutes({ release, publicUrls }: InstallRouteDeps): readonly Route[] {
  const offered = (): AgentRelease => {
    if (release) return release
    throw fleetError('FLT_INSTALL_NO_RELEASE')
  }
  return [
    {
      method: 'GET',
      path: '/install/agent.sh',
      rule: 'public',
      summary: 'The installer of the agent, with the address of this server in it, as a shell script',
      handle({ request, reply }) {
        const { text } = servedInstaller(offered(), serverUrlOf(publicUrls, request))
        return reply.type('text/x-shellscript; charset=utf-8').send(text)
      },
    },
    {
      method: 'GET',
      path: '/install/release.json',
      rule: 'public',
      summary: 'Which release of the agent this server hands out, as signed',
      handle: ({ reply }) => reply.type('application/json').send(offered().signed.bytes),
    },
    {
      method: 'GET',
      path: '/install/release.sig',
      rule: 'public',
      summary: 'The Ed25519 signature over release.json, in base64',
      handle: ({ reply }) => reply.type('text/plain; charset=utf-8').send(`${offered().signed.signature}\n`),
    },
    {
      method: 'GET',
      path: '/install/files/:name',
      rule: 'public',
      summary: 'A file of the release by its hash; it never changes',
      handle({ params, reply }) {
        const { name = '' } = params
        const file = offered().files.get(name)
        if (!file) throw fleetError('FLT_INSTALL_FILE_UNKNOWN', { name: name.slice(0, 100) })
        return reply
          .type('application/octet-stream')
          .header('content-length', file.bytes)
          .header('cache-control', 'public, max-age=31536000, immutable')
          .send(createReadStream(file.path))
      },
    },
  ]
}

/** Where a machine reaches this server: PUBLIC_URL, else what the request reached. Never X-Forwarded-*. */
export function serverUrlOf(publicUrls: readonly URL[], request: RouteCall['request']): string {
  const [first] = publicUrls
  return first ? addressOf(first) : `${request.protocol}://${request.host}`
}
