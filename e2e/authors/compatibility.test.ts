import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository } from '../repository.ts'
import { runNode } from './run-program.ts'

let fleet: TestFleet
beforeAll(async () => {
  fleet = await startTestFleet({ agents: ['vm-01'] })
})
afterAll(() => fleet?.stop())

test('what was built with the sdk 1.0 is loaded and run by the server and the agent of today', async () => {
  const { client } = fleet
  const bundle = join(repository, 'e2e/authors/fixtures/sdk-1.0/compat-probe-1.0.0.fleetplugin')
  const cli = join(repository, 'sdk/bin/fleetupdate.mjs')
  const given = ['--server', client.url, '--token', client.token, '--yes']
  const installed = await runNode(cli, ['plugin', 'install', bundle, ...given], fleet.dataDir)
  expect(installed.output).toContain('compat-probe 1.0.0 is active.')
  const agent = fleet.agents.get('vm-01')
  await agent?.kill('SIGTERM')
  await agent?.restart()

  await client.until('the fact and its facet', async () => {
    const view = await client.agent('vm-01')
    return view?.facts['compat-probe']?.machine !== undefined && view.facets['compat-probe.known'] === true
  })
  const view = await client.agent('vm-01')
  const contracts = await client.request<{ items: { id: string; hash: string }[] }>('GET', '/api/plugins')
  expect(view?.executors.find(({ id }) => id === 'compat-probe')).toMatchObject({
    health: 'ok',
    contractHash: contracts.body.items.find(({ id }) => id === 'compat-probe')?.hash,
  })

  const { id } = await client.submit('vm-01', 'compat-probe.count', { to: 3 })
  expect(await client.finished(id)).toMatchObject({ state: 'succeeded', result: { counted: 3 } })
  const output = await client.request<string>('GET', `/api/commands/${id}/output`)
  expect(output.body).toMatch(/1\n2\n3\n[\s\S]*Linux/)

  const seen = await client.until('its own row', async () => {
    const { body } = await client.request<{ rows: object[] }>('GET', '/api/plugins/compat-probe/seen')
    return body.rows.length > 0 && body
  })
  expect(seen).toMatchObject({
    starts: 1,
    rows: [{ agent: 'vm-01', machine: view?.facts['compat-probe']?.machine }],
    agents: ['vm-01'],
    successRate: 1,
  })
  expect(await client.request('GET', '/compat-probe/vm-01')).toMatchObject({
    status: 200,
    body: { agent: 'vm-01', known: true },
  })
})
