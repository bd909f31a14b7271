import { describe, expect, test, vi } from 'vitest'
import { createServiceNotice } from './service-notice.ts'

function setUp(env: Record<string, string>) {
  const said: string[] = []
  const notice = createServiceNotice(env, (program, args, given) => {
    expect(program).toBe('/usr/bin/systemd-notify')
    expect(given).toEqual({ NOTIFY_SOCKET: env.NOTIFY_SOCKET })
    said.push(args.join(' '))
  })
  return { notice, said }
}
const underSystemd = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '40000' }

describe('what a service tells systemd', () => {
  test('is nothing where nobody listens', () => {
    const { notice, said } = setUp({})
    notice.ready('serves')
    notice.watch(async () => true, new AbortController().signal)
    expect(said).toEqual([])
  })

  test('is one line, whatever was in the text', () => {
    const { notice, said } = setUp(underSystemd)
    notice.ready('serves\nMAINPID=1\0')
    notice.stopping()
    expect(said).toEqual(['--ready --status=serves MAINPID=1 ', 'STOPPING=1'])
  })

  test('is a sign of life only after a proof of it, and none after the end', async () => {
    const { notice, said } = setUp(underSystemd)
    const stop = new AbortController()
    const answers = [true, false, true]
    notice.watch(async () => answers.shift() ?? new Promise<boolean>(() => undefined), stop.signal)
    await vi.waitFor(() => expect(answers).toEqual([]))
    await vi.waitFor(() => expect(said).toEqual(['WATCHDOG=1', 'WATCHDOG=1']))
    stop.abort()
  })

  test('is no sign of life while a proof hangs or throws', async () => {
    const { notice, said } = setUp(underSystemd)
    const stop = new AbortController()
    let rounds = 0
    notice.watch(async () => {
      rounds += 1
      throw new Error('the store is gone')
    }, stop.signal)
    await vi.waitFor(() => expect(rounds).toBeGreaterThan(1))
    stop.abort()
    expect(said).toEqual([])
  })
})
