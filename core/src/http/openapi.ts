import type { AnyContract, CommandDefinition } from '@fleetupdate/sdk'
import { CommandView } from '@fleetupdate/sdk'
import type { Route } from './routes.ts'

export interface OpenApiSource {
  readonly version: string
  readonly routes: readonly Route[]
  readonly contracts: readonly AnyContract[]
  readonly pluginRoutes: readonly { plugin: string; method: string; path: string; role: string }[]
}

/** The OpenAPI 3.1 document of everything that is served now, made from the live tables. */
export function openApiDocument({ version, routes, contracts, pluginRoutes }: OpenApiSource): object {
  const paths: Record<string, Record<string, unknown>> = {}
  const add = (path: string, method: string, operation: object): void => {
    const key = path.replace(/:(\w+)/g, '{$1}')
    paths[key] = { ...paths[key], [method.toLowerCase()]: { ...operation, parameters: pathParameters(path) } }
  }
  for (const route of routes) add(route.path, route.method, operationOf(route))
  for (const contract of contracts)
    for (const [name, command] of Object.entries<CommandDefinition>(contract.commands))
      add(`/api/agents/:agentId/${contract.id}/${name}`, 'POST', {
        tags: [contract.id],
        summary: command.title ?? `Submit ${contract.id}.${name}`,
        description: command.description,
        'x-role': command.role ?? 'operator',
        ...(command.input ? { requestBody: jsonBody(command.input) } : {}),
        responses: { 202: { description: 'Accepted', ...jsonBody(CommandView) }, default: errorAnswer },
      })
  for (const { plugin, method, path, role } of pluginRoutes)
    add(path, method, {
      tags: [plugin],
      summary: `${method} ${path}`,
      'x-role': role,
      responses: { 200: { description: 'OK' }, default: errorAnswer },
    })
  return {
    openapi: '3.1.0',
    info: { title: 'FleetUpdate', version },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: 'fleet_session' },
      },
    },
    security: [{ bearer: [] }, { session: [] }],
    paths,
  }
}

const errorAnswer = {
  description: 'An error: { code, message, details? }',
  ...jsonBody({
    type: 'object',
    required: ['code', 'message'],
    properties: { code: { type: 'string' }, message: { type: 'string' } },
  }),
}

function operationOf(route: Route): object {
  return {
    tags: [route.path.split('/')[2] ?? 'api'],
    summary: route.summary,
    ...(typeof route.rule === 'object'
      ? { 'x-role': route.rule.role }
      : { security: [], 'x-rule': route.rule }),
    ...(route.body ? { requestBody: jsonBody(route.body) } : {}),
    responses: {
      [route.status ?? 200]: { description: 'OK', ...(route.answer ? jsonBody(route.answer) : {}) },
      default: errorAnswer,
    },
  }
}

function jsonBody(schema: object): object {
  return { content: { 'application/json': { schema } } }
}

function pathParameters(path: string): object[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
}
