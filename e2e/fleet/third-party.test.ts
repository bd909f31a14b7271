import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildPlugin } from '@fleetupdate/sdk/build'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository } from '../repository.ts'

const contract = `
import { defineContract, Type } from '@fleetupdate/sdk'
export const power = defineContract('power', {
  facts: { required: Type.Boolean() },
  facets: { required: (facts) => facts.required },
  commands: { schedule: {
    input: Type.Object({ minutes: Type.Integer({ minimum: 0, maximum: 60 }) }),
    result: Type.Object({ at: Type.String({ format: 'date-time' }) }),
    role: 'operator', dangerous: true } },
})`

const executor = `
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { power } from './contract'
export default defineExecutor(power, {
  facts: { required: ({ exists }) => exists('/run/reboot-required') },
  commands: {
    async schedule({ minutes }, { run }) {
      await run('echo', ['rebooting in', String(minutes)])
      return { at: new Date(Date.now() + minutes * 60_000).toISOString() }
    },
  },
})`

const server = `
import { definePlugin } from '@fleetupdate/sdk'
import { power } from './contract'
export default definePlugin(power, ({ onFacts, http, facts }) => {
  const seen = new Set()
  onFacts(({ agentId }) => void seen.add(agentId))
  http.get('/seen', { config: { role: 'viewer' } }, () => [...seen])
})`

let folder: string
let fleet: TestFleet

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outside-'))
  const plugin = join(folder, 'power')
  mkdirSync(join(plugin, 'src'), { recursive: true })
  mkdirSync(join(folder, 'node_modules/@fleetupdate'), { recursive: true })
  symlinkSync(join(repository, 'sdk'), join(folder, 'node_modules/@fleetupdate/sdk'))
  const fleetupdate = {
    id: 'power',
    sdk: '1',
    server: './dist/server.js',
    executor: './dist/executor.js',
    programs: ['echo'],
  }
  writeFileSync(
    join(plugin, 'package.json'),
    JSON.stringify({ name: 'power', version: '1.0.0', type: 'module', fleetupdate }),
  )
  writeFileSync(join(plugin, 'src/contract.ts'), contract)
  writeFileSync(join(plugin, 'src/executor.ts'), executor)
  writeFileSync(join(plugin, 'src/server.ts'), server)
  await buildPlugin(plugin)
  fleet = await startTestFleet({ agents: ['vm-01'] })
})

afterAll(async () => {
  await fleet?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('a capability from outside the repository is dropped in and works after a restart', async () => {
  const { client } = fleet
  const schedule = '/api/agents/vm-01/power/schedule'
  expect((await client.request('POST', schedule, { minutes: 5 })).status).toBe(404)

  // Only what was built travels: nothing in the data folder can import anything.
  const target = join(fleet.dataDir, 'plugins/power')
  cpSync(join(folder, 'power/dist'), join(target, 'dist'), { recursive: true })
  cpSync(join(folder, 'power/package.json'), join(target, 'package.json'))
  const agent = fleet.agents.get('vm-01')
  await agent?.kill('SIGTERM')
  await fleet.server.kill('SIGTERM')
  await fleet.server.restart()
  await agent?.restart()

  const known = await client.until('the fact of the new capability', async () => {
    const view = await client.agent('vm-01')
    // Facets follow the facts they are computed from a moment later.
    return view?.facts.power?.required !== undefined && 'power.required' in view.facets && view
  })
  expect(known.facts.power).toEqual({ required: expect.any(Boolean) })
  expect(known.facets).toHaveProperty(['power.required'])

  for (const wrong of [{ minutes: 61 }, { minutes: '5' }, { minutes: 5, force: true }, {}]) {
    const answer = await client.request('POST', schedule, wrong)
    expect(answer).toMatchObject({ status: 400, body: { code: 'FLT_COMMAND_INPUT' } })
  }
  const accepted = await client.request<{ id: string }>('POST', schedule, { minutes: 5 })
  expect(accepted.status).toBe(202)
  expect(await client.finished(accepted.body.id)).toMatchObject({
    state: 'succeeded',
    result: { at: expect.any(String) },
  })
  expect((await client.request('GET', '/api/plugins/power/seen')).body).toEqual(['vm-01'])
  const openapi = await client.request<{ paths: object }>('GET', '/api/openapi.json')
  expect(openapi.body.paths).toHaveProperty(['/api/agents/{agentId}/power/schedule'])
})
