import { createHash } from 'node:crypto'
import type { AgentView, CommandView } from '@fleetupdate/sdk'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from '../apt-root/create-apt-root.ts'
import { builtIns } from '../repository.ts'
import { type AgentInRoot, installAgent } from './agent-in-root.ts'
import { readOutput, readStream } from './event-stream.ts'

interface Updates {
  readonly pending: readonly { name: string; current: string; candidate: string }[]
}

const problem = aptRootProblem()
if (problem !== undefined) console.warn(`Skipped: the upgrade in a real apt root. ${problem}`)

describe.skipIf(problem !== undefined)('an upgrade in a real apt root', () => {
  let root: AptRoot
  let fleet: TestFleet
  let agent: AgentInRoot

  beforeAll(async () => {
    root = await createAptRoot()
    await root.installPackage('fleet-demo', '1.0')
    await root.offer('fleet-demo', '2.0', { slowSeconds: 3 })
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    agent = installAgent(root, { id: 'apt-01', url: fleet.url, psk: 'a-secret-for-tests-0123456789' })
    agent.start()
  })

  afterAll(async () => {
    await agent?.kill('SIGKILL')
    await fleet?.stop()
    await root?.dispose()
  })

  const pending = async (): Promise<Updates['pending'] | undefined> => {
    const view: AgentView | undefined = await fleet.client.agent('apt-01')
    return (view?.facts['os-updates']?.updates as Updates | undefined)?.pending
  }
  const streamUrl = (id: string): string => `${fleet.url}/api/commands/${id}/stream`
  const names = (list: Updates['pending'] | undefined) =>
    list?.map(({ name, current, candidate }) => [name, current, candidate])

  test('is shown as exactly one update, planned, run with live output, and gone afterwards', async () => {
    const { client } = fleet
    await client.until('one pending update', async () => (await pending())?.length === 1)
    expect(names(await pending())).toEqual([['fleet-demo', '1.0', '2.0']])
    expect((await client.agent('apt-01'))?.facets).toMatchObject({
      'os-updates.outdated': true,
      'os-updates.pending': 1,
    })
    const list = await client.request<{ items: AgentView[]; counts: object }>(
      'GET',
      '/api/agents?filter=outdated',
    )
    expect(list.body.items.map(({ id }) => id)).toEqual(['apt-01'])

    const plan = await client.finished(
      (await client.submit('apt-01', 'apt-upgrade.plan', { mode: 'all' })).id,
    )
    expect(plan).toMatchObject({
      state: 'succeeded',
      result: {
        packages: [expect.objectContaining({ name: 'fleet-demo', from: '1.0', to: '2.0' })],
        planHash: expect.any(String),
      },
    })

    const { planHash } = plan.result as { planHash: string }
    const command = await client.submit(
      'apt-01',
      'apt-upgrade.run',
      { mode: 'all' },
      { precondition: planHash },
    )
    const { text, events } = await readOutput(streamUrl(command.id), client)
    const outputs = events.filter(({ event }) => event === 'output')
    expect(text).toMatch(/^\$ apt-upgrade\.run\n/)
    expect(text).toContain('Setting up fleet-demo (2.0)')
    expect((outputs.at(-1)?.atMs ?? 0) - (outputs[0]?.atMs ?? 0)).toBeGreaterThan(1000)
    expect(events.at(-1)?.event).toBe('end')

    const done = await client.finished(command.id)
    expect(done).toMatchObject({
      state: 'succeeded',
      exitCode: 0,
      result: { packages: [expect.objectContaining({ name: 'fleet-demo', from: '1.0', to: '2.0' })] },
    })
    expect(done.output?.sha256).toBe(createHash('sha256').update(text).digest('hex'))
    await client.until('no pending update', async () => (await pending())?.length === 0)
    expect((await client.agent('apt-01'))?.facets).toMatchObject({
      'os-updates.outdated': false,
      'os-updates.pending': 0,
    })
  })

  const submitAndWaitForWork = async (version: string): Promise<CommandView> => {
    const { client } = fleet
    await root.offer('fleet-demo', version, { slowSeconds: 4 })
    const command = await client.submit('apt-01', 'apt-upgrade.run', { mode: 'all' })
    for await (const { event, data } of readStream(streamUrl(command.id), client))
      if (event === 'output' && data.includes('Unpacking')) return command
    throw new Error(
      `The upgrade ended before it began:\n${JSON.stringify(await client.command(command.id))}\n${agent.output()}`,
    )
  }

  const expectWhole = async (command: CommandView, version: string): Promise<void> => {
    const { client } = fleet
    const done = await client.finished(command.id)
    expect(done).toMatchObject({
      state: 'succeeded',
      result: { packages: [expect.objectContaining({ to: version })] },
    })
    const { text, events } = await readOutput(streamUrl(command.id), client)
    expect(text).toContain(`Setting up fleet-demo (${version})`)
    expect(createHash('sha256').update(text).digest('hex')).toBe(done.output?.sha256)
    expect(events.at(-1)?.event).toBe('end')
    const { stdout } = await root.run(['dpkg-query', '-W', '-f', '${Status} ${Version}', 'fleet-demo'])
    expect(stdout).toBe(`install ok installed ${version}`)
  }

  test('finishes while its agent is killed, and tells everything when it is back', async () => {
    const command = await submitAndWaitForWork('3.0')
    await agent.kill('SIGKILL')
    agent.start()
    await expectWhole(command, '3.0')
  })

  test('finishes while the server is killed, and tells everything when it is back', async () => {
    const command = await submitAndWaitForWork('4.0')
    await fleet.server.kill('SIGKILL')
    await fleet.server.restart()
    await expectWhole(command, '4.0')
  })
})
