import type { OwnRoutes } from '@fleetupdate/sdk/panel'
import { RequestProblem, request } from '../api/request.ts'
import { t } from '../text.ts'

/** One segment of a path: what needs no encoding, or was encoded. Neither `.` nor `..`, in no spelling. */
const segment = /^(?!(\.|%2e){1,2}$)([A-Za-z0-9._~:@!$&'()*+,;=-]|%[0-9A-F]{2})+$/i

/** What a panel may ask of its own plugin: routes below `/api/plugins/<id>`, as the person who is signed in. */
export function ownRoutes(plugin: string): OwnRoutes {
  return {
    async call(method, path, { query, body } = {}) {
      return request(method, routePath(plugin, path), {
        ...(query ? { query } : {}),
        ...(method === 'GET' || method === 'DELETE' ? {} : { body: body ?? {} }),
      })
    },
  }
}

/**
 * The path below `/api`. Throws where it could leave the plugin's own: a browser resolves `..`, also where it is encoded, before it asks. Exported for its test.
 */
export function routePath(plugin: string, path: string): string {
  const isOwn = /^[a-z][a-z0-9-]*$/.test(plugin) && path.split('/').every((part) => segment.test(part))
  if (!isOwn) throw new RequestProblem('FLT_PANEL_ROUTE', 0, t('panel.route', { plugin, path }))
  return `plugins/${plugin}/${path}`
}
