import { testPlugin } from '@fleetupdate/sdk/testing'
import { expect, test } from 'vitest'

test('works in a real fleet', async () => {
  await testPlugin({ folder: '.', agents: ['vm-01'] }, async ({ client }) => {
    // The fact, its facet, and the row that the server part wrote into its own table.
    const route = '/api/plugins/log-sizes/agents/vm-01/sizes'
    const items = await client.until('the first size', async () => {
      const { body } = await client.request<{ items: { bytes: number }[] }>('GET', route)
      return body.items.length > 0 && body.items
    })
    expect((await client.agent('vm-01'))?.facets['log-sizes.bytes']).toBe(items.at(-1)?.bytes)
    expect(await client.request('GET', `${route}?limit=1`)).toMatchObject({
      status: 200,
      body: { items: [{}] },
    })
    expect(await client.request('GET', `${route}?limit=0`)).toMatchObject({ status: 400 })

    const measured = await client.submit('vm-01', 'log-sizes.measure', { paths: ['/var/log'] })
    expect(await client.finished(measured.id)).toMatchObject({
      state: 'succeeded',
      result: { sizes: [{ path: '/var/log', bytes: expect.any(Number) }] },
    })

    // The agent's own privileges decide what it may read; a log that is not there yet is waited for.
    const { id } = await client.submit('vm-01', 'log-sizes.follow', { file: '/var/log/not-there-yet.log' })
    await client.until('its output', async () => {
      const { body } = await client.request<string>('GET', `/api/commands/${id}/output`)
      return String(body).includes('not-there-yet.log')
    })
    await client.request('POST', `/api/commands/${id}/cancel`, {})
    expect(await client.finished(id)).toMatchObject({ state: 'cancelled' })
  })
}, 120_000)
