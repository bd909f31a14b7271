import { testPlugin } from '@fleetupdate/sdk/testing'
import { expect, test } from 'vitest'

test('works in a real fleet', async () => {
  await testPlugin({ folder: '.', agents: ['vm-01'] }, async ({ client }) => {
    const { id } = await client.submit('vm-01', 'my-plugin.measure', { path: '/' })
    expect(await client.finished(id)).toMatchObject({
      state: 'succeeded',
      result: { usedPercent: expect.any(Number) },
    })
  })
}, 60_000)
