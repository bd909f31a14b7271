import { once } from 'node:events'
import { request } from 'node:http'
import type { Attack } from '../attack.ts'

/** Guesses at the login from one address, while the owner is elsewhere. */
export const loginAttack: Attack = {
  name: 'login',
  title: 'guesses of a password from one address',
  required:
    'at most 30 evaluated in an hour; the owner elsewhere logs in; unknown names take as long (ratio 0.6 to 1.7)',
  async run(target, size) {
    const ratio = await timing(target.url, size === 'full' ? 41 : 11)
    const count = size === 'full' ? 10_000 : 150
    let evaluated = 0
    const others = new Set<number>()
    for (let i = 0; i < count; i++) {
      const status = await tryLogin(target.url, '127.0.0.1', `user-${i % 97}`, `guess-${i}`)
      if (status === 401) evaluated++
      else if (status !== 429) others.add(status)
    }
    const owner = await tryLogin(
      target.url,
      '127.0.0.2',
      'admin',
      String(target.secrets.get("the admin's password")),
    )
    const strange = others.size === 0 ? '' : `; also answered ${[...others].join(', ')}`
    return {
      passed: evaluated <= 30 && owner === 200 && others.size === 0 && ratio > 0.6 && ratio < 1.7,
      reached: `${evaluated} of ${count} evaluated; the owner got ${owner}; ratio ${ratio.toFixed(2)}${strange}`,
    }
  },
}

/** How much longer an unknown name takes than a known one: medians, each try from an address of its own. */
async function timing(url: string, tries: number): Promise<number> {
  const taken = { admin: [] as number[], 'nobody-at-all': [] as number[] }
  for (let i = 0; i < tries; i++)
    for (const [place, name] of [
      [3, 'admin'],
      [4, 'nobody-at-all'],
    ] as const) {
      const began = performance.now()
      await tryLogin(url, `127.0.${place}.${i + 1}`, name, 'a guess')
      taken[name].push(performance.now() - began)
    }
  const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1] ?? 0
  return median(taken['nobody-at-all']) / median(taken.admin)
}

async function tryLogin(
  url: string,
  localAddress: string,
  username: string,
  password: string,
): Promise<number> {
  const { hostname, port } = new URL(url)
  const headers = { 'content-type': 'application/json' }
  const path = '/api/auth/login'
  const outgoing = request({ hostname, port, path, method: 'POST', headers, localAddress })
  outgoing.end(JSON.stringify({ username, password }))
  const [incoming] = await once(outgoing, 'response')
  incoming.resume()
  await once(incoming, 'end')
  return incoming.statusCode
}
