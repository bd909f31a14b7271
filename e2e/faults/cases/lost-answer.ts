import { randomUUID } from 'node:crypto'
import type { CommandView } from '@fleetupdate/sdk'
import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { describeAudit, isClean } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { createLoad } from '../load.ts'
import { startProxy } from '../proxy.ts'
import { startRig } from '../rig.ts'

/** The server commits, and its answer never arrives: whoever submitted has to ask again. */
export const lostAnswer: Fault = {
  name: 'lost-answer',
  title: 'the answer to a submit is lost after the commit; it is submitted again, also after a kill -9',
  required: 'same key and body: the same command or batch, started once; same key and other body: 409',
  sabotage: {
    what: 'the server forgets which key made which command',
    file: 'server',
    edits: [
      {
        find: /const earlier = request && await idempotency\.find\(request\);/,
        replace: 'const earlier = undefined; if (request) request.key += Math.random();',
      },
    ],
  },
  async run(lab) {
    const rig = await startRig(lab)
    rig.startAgent('vm-1')
    await rig.online(['vm-1'])
    const proxy = await startProxy(Number(new URL(rig.url).port))
    lab.onEnd(() => proxy.close())
    const far = await logIn(proxy.url, 'admin', 'a password for tests')
    const load = createLoad(lab, rig)
    const rounds = lab.scale({ smoke: 12, full: 120 })
    let lost = 0
    let other = 0
    let conflicts = 0
    for (let round = 0; round < rounds; round++) {
      const key = randomUUID()
      const input = { ledger: rig.ledger, lines: lab.random.between(0, 5), pauseMs: 0 }
      const isBatch = lab.random.next() < 0.3
      const path = isBatch ? '/api/commands' : '/api/agents/vm-1/commands'
      const body = { command: 'lab.work', input, ...(isBatch ? { targets: { agents: ['vm-1'] } } : {}) }
      proxy.mode = 'no-answers'
      await far.request('POST', path, body, { 'idempotency-key': key }).catch(() => lost++)
      proxy.mode = 'open'
      if (lab.random.next() < 0.1) {
        await rig.fleet.server.kill('SIGKILL')
        await rig.fleet.server.restart()
      }
      const again = await Promise.all(
        [1, 2].map(() => rig.patient.request<Submitted>('POST', path, body, { 'idempotency-key': key })),
      )
      const ids = new Set(again.map(({ body: { id, items } }) => id ?? items?.[0]?.id ?? ''))
      if (ids.size !== 1 || again.some(({ status }) => status !== 202)) other++
      const [id = ''] = ids
      load.owe({ id, lines: input.lines, name: 'lab.work' })
      const differs = { ...body, input: { ...input, lines: input.lines + 1 } }
      if ((await rig.patient.request('POST', path, differs, { 'idempotency-key': key })).status === 409)
        conflicts++
    }
    const audit = await load.audit()
    const known = await countCommands(rig.client)
    return {
      passed: isClean(audit) && lost === rounds && other === 0 && conflicts === rounds && known === rounds,
      reached: `${lost} answers lost: ${known} commands in all, ${other} times another one; ${conflicts} of ${rounds} other bodies refused; ${describeAudit(audit)}`,
    }
  },
}

interface Submitted {
  readonly id?: string
  readonly items?: readonly CommandView[]
}

async function countCommands(client: FleetClient): Promise<number> {
  let count = 0
  for (let cursor = ''; ; ) {
    const path = `/api/commands?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
    const { body } = await client.request<{ items: CommandView[]; nextCursor: string | null }>('GET', path)
    count += body.items.length
    if (!body.nextCursor) return count
    cursor = body.nextCursor
  }
}
