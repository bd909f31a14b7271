import type { Role } from '@fleetupdate/sdk'
import { describe, expect, test } from 'vitest'
import { authorize } from './authorize.ts'
import { createWorkQueue } from './work-queue.ts'

describe('a role', () => {
  const roles = ['viewer', 'operator', 'admin'] as const
  test.each(roles)('%s includes the ones before it and no other', (role) => {
    const passes = roles.map((needed) => {
      try {
        authorize({ name: 'x', role }, needed)
        return true
      } catch (error) {
        expect(error).toMatchObject({ code: 'FLT_AUTH_FORBIDDEN', status: 403 })
        return false
      }
    })
    expect(passes).toEqual(roles.map((_, index) => index <= roles.indexOf(role)))
  })

  test.each(['', 'root', 'constructor', '__proto__'])('that does not exist ("%s") may nothing', (role) => {
    expect(() => authorize({ name: 'x', role: role as Role }, 'viewer')).toThrow(/needs the role viewer/)
    expect(() => authorize({ name: 'x', role: 'admin' }, role as Role)).toThrow(/needs the role/)
  })
})

describe('a bounded queue', () => {
  test('runs two at once, lets three wait in order, and refuses the rest', async () => {
    const queue = createWorkQueue({ parallel: 2, waiting: 3, refuse: () => new Error('full') })
    const order: string[] = []
    let running = 0
    let most = 0
    const task = (name: string) => async () => {
      most = Math.max(most, ++running)
      await new Promise(setImmediate)
      order.push(name)
      running -= 1
    }
    const results = await Promise.allSettled(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => queue.run(task(name))),
    )
    expect(results.map(({ status }) => status)).toEqual([...Array(5).fill('fulfilled'), 'rejected'])
    expect([order, most]).toEqual([['a', 'b', 'c', 'd', 'e'], 2])
    await queue.run(task('g'))
    expect(order.at(-1)).toBe('g')
  })

  test('goes on after a task that fails', async () => {
    const queue = createWorkQueue({ parallel: 1, waiting: 1, refuse: () => new Error('full') })
    const failing = queue.run(() => Promise.reject(new Error('broken')))
    const next = queue.run(async () => 'done')
    await expect(failing).rejects.toThrow('broken')
    expect(await next).toBe('done')
  })
})
