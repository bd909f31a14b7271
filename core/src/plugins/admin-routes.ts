import type { Log } from '@fleetupdate/sdk'
import { bundleLimits } from '@fleetupdate/sdk/bundle'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { fleetError } from '../errors.ts'
import type { Route, SignedIn } from '../http/routes.ts'
import type { PluginHost, PluginStatus } from './host.ts'
import type { PluginInstaller } from './installer.ts'

export interface PluginAdminDeps {
  readonly host: PluginHost
  readonly installer: PluginInstaller
  readonly log: Log
}

const rule = { role: 'admin' } as const
const confirmBody = Type.Object(
  { sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) },
  { additionalProperties: false },
)
const confirmCheck = Compile(confirmBody)

/** `/api/admin/plugins`: plugins come and go while the server runs, without disturbing others. */
export function pluginAdminRoutes({ host, installer, log }: PluginAdminDeps): readonly Route[] {
  const tell = (subject: SignedIn, what: string, id: string): void =>
    log.info(`The plugin "${id}" was ${what}`, { by: subject.name })
  const view = async (status: PluginStatus): Promise<object> => ({
    id: status.plugin.id,
    version: status.plugin.version,
    state: status.state,
    ...(status.reason === undefined ? {} : { reason: status.reason }),
    ...(await installer.originOf(status)),
  })
  return [
    {
      method: 'GET',
      path: '/api/admin/plugins',
      rule,
      summary: 'All plugins with state, origin and publisher',
      handle: async () => ({ items: await Promise.all(host.list().map(view)) }),
    },
    {
      method: 'POST',
      path: '/api/admin/plugins',
      rule,
      summary: 'Uploads a bundle and shows what it asks for; runs nothing of it',
      bodyLimit: bundleLimits.packedBytes,
      handle: ({ body }) => {
        if (!Buffer.isBuffer(body)) throw fleetError('FLT_HTTP_MEDIA_TYPE_BUNDLE')
        return installer.offer(body)
      },
    },
    {
      method: 'POST',
      path: '/api/admin/plugins/:id/confirm',
      rule,
      summary: 'Installs and starts the uploaded bundle with this hash',
      body: confirmBody,
      handle: async ({ params: { id = '' }, body, subject }) => {
        const status = await installer.confirm(id, confirmCheck.Check(body) ? body.sha256 : '')
        tell(subject, `installed in version ${status.plugin.version}`, id)
        return view(status)
      },
    },
    {
      method: 'POST',
      path: '/api/admin/plugins/:id/enable',
      rule,
      summary: 'Starts a plugin, now and at every start of the server',
      handle: async ({ params: { id = '' }, subject }) => {
        const status = await host.enable(id)
        tell(subject, 'enabled', id)
        return view(status)
      },
    },
    {
      method: 'POST',
      path: '/api/admin/plugins/:id/disable',
      rule,
      summary: 'Stops a plugin until it is enabled again',
      handle: async ({ params: { id = '' }, subject }) => {
        const status = await host.disable(id)
        tell(subject, 'disabled', id)
        return view(status)
      },
    },
    {
      method: 'DELETE',
      path: '/api/admin/plugins/:id',
      rule,
      summary: 'Stops an installed plugin and deletes its files; its database stays',
      handle: async ({ params: { id = '' }, subject, reply }) => {
        await installer.remove(id)
        tell(subject, 'removed', id)
        return reply.code(204).send()
      },
    },
  ]
}
