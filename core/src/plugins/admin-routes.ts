import type { Log } from '@fleetupdate/sdk'
import { bundleLimits } from '@fleetupdate/sdk/bundle'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import { byOf, type Route, type RouteCall } from '../http/routes.ts'
import type { PluginHost, PluginStatus } from './host.ts'
import type { PluginInstaller } from './installer.ts'

export interface PluginAdminDeps {
  readonly host: PluginHost
  readonly installer: PluginInstaller
  readonly audit: Pick<Audit, 'note'>
  readonly log: Log
}

const rule = { role: 'admin' } as const
const confirmBody = Type.Object(
  { sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) },
  { additionalProperties: false },
)
const confirmCheck = Compile(confirmBody)

/** `/api/admin/plugins`: plugins come and go while the server runs, without disturbing others. */
export function pluginAdminRoutes({ host, installer, audit, log }: PluginAdminDeps): readonly Route[] {
  const tell = async (
    call: RouteCall,
    what: 'installed' | 'enabled' | 'disabled' | 'removed',
    details: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    const { id = '' } = call.params
    log.info(`The plugin "${id}" was ${what}`, { by: call.subject.name, ...details })
    await audit.note({ ...byOf(call), action: `plugin.${what}`, target: id, details })
  }
  const view = (status: PluginStatus): object => ({
    id: status.plugin.id,
    version: status.plugin.version,
    state: status.state,
    ...(status.reason === undefined ? {} : { reason: status.reason }),
    ...installer.originOf(status),
  })
  return [
    {
      method: 'GET',
      path: '/api/admin/plugins',
      rule,
      summary: 'All plugins with state, origin and publisher',
      handle: () => ({ items: host.list().map(view) }),
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
      handle: async (call) => {
        const { body } = call
        const sha256 = confirmCheck.Check(body) ? body.sha256 : ''
        const status = await installer.confirm(call.params.id ?? '', sha256)
        await tell(call, 'installed', { version: status.plugin.version, sha256 })
        return view(status)
      },
    },
    {
      method: 'POST',
      path: '/api/admin/plugins/:id/enable',
      rule,
      summary: 'Starts a plugin, now and at every start of the server',
      handle: async (call) => {
        const status = await host.enable(call.params.id ?? '')
        await tell(call, 'enabled')
        return view(status)
      },
    },
    {
      method: 'POST',
      path: '/api/admin/plugins/:id/disable',
      rule,
      summary: 'Stops a plugin until it is enabled again',
      handle: async (call) => {
        const status = await host.disable(call.params.id ?? '')
        await tell(call, 'disabled')
        return view(status)
      },
    },
    {
      method: 'DELETE',
      path: '/api/admin/plugins/:id',
      rule,
      summary: 'Stops an installed plugin and deletes its files; its database stays',
      handle: async (call) => {
        await installer.remove(call.params.id ?? '')
        await tell(call, 'removed')
        return call.reply.code(204).send()
      },
    },
  ]
}
