import type { Role } from '@fleetupdate/sdk'
import { describe, expect, test } from 'vitest'
import { authorize, frameStages } from './authorize.ts'
import { createWorkQueue } from './work-queue.ts'

describe('a role', () => {
  const roles = ['viewer', 'operator', 'admin'] as const
  test.each(roles)('%s includes the ones before it and no other', (role) => {
    const passes = roles.map((needed) => {
      try {
        authorize({ name: 'x', role }, 'call', { role: needed })
        return true
      } catch (error) {
        expect(error).toMatchObject({ code: 'FLT_AUTH_FORBIDDEN', status: 403 })
        return false
      }
    })
    expect(passes).toEqual(roles.map((_, index) => index <= roles.indexOf(role)))
  })

  test.each(['', 'root', 'constructor', '__proto__'])('that does not exist ("%s") may nothing', (role) => {
    expect(() => authorize({ name: 'x', role: role as Role }, 'call', { role: 'viewer' })).toThrow(
      /needs the role viewer/,
    )
    expect(() => authorize({ name: 'x', role: 'admin' }, 'call', { role: role as Role })).toThrow(
      /needs the role/,
    )
  })
})

describe('authorize', () => {
  const may = (...asked: Parameters<typeof authorize>): boolean => {
    try {
      authorize(...asked)
      return true
    } catch {
      return false
    }
  }
  const frames = Object.keys(frameStages) as (keyof typeof frameStages)[]

  test('lets an agent send hello alone at first, then its ticket alone, and nothing else ever', () => {
    const sent = (stage: 'greeting' | 'waiting' | 'live') =>
      frames.filter((frame) => may({ agentId: 'a', stage }, 'send', { frame }))
    expect(sent('greeting')).toEqual(['hello'])
    expect(sent('waiting')).toEqual(['ticket', 'ping', 'pong'])
    expect(sent('live')).not.toContain('hello')
    expect(may({ agentId: 'a', stage: 'live' }, 'submit', { plugin: 'p', role: 'viewer' })).toBe(false)
    expect(may({ agentId: 'a', stage: 'live' }, 'call', { role: 'viewer' })).toBe(false)
    expect(may({ agentId: 'a', stage: 'live' }, 'send', { frame: 'constructor' as never })).toBe(false)
  })

  test('lets a plugin submit its own commands alone', () => {
    expect(may({ plugin: 'reboot' }, 'submit', { plugin: 'reboot', role: 'admin' })).toBe(true)
    expect(may({ plugin: 'reboot' }, 'submit', { plugin: 'services', role: 'viewer' })).toBe(false)
    expect(may({ plugin: 'reboot' }, 'call', { role: 'viewer' })).toBe(false)
    expect(may({ plugin: 'reboot' }, 'send', { frame: 'result' })).toBe(false)
  })

  test('lets nobody but an agent send a frame', () => {
    expect(may({ name: 'ada', role: 'admin' }, 'send', { frame: 'result' })).toBe(false)
    expect(may({ console: 'root' }, 'send', { frame: 'result' })).toBe(false)
    expect(may({ console: 'root' }, 'call', { role: 'admin' })).toBe(true)
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
