import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { ListLimit, readLimit } from '../agents/routes.ts'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import { fleetError } from '../errors.ts'
import type { Route } from '../http/routes.ts'
import type { Store } from '../store/store.ts'
import type { AuditRow } from './tables.ts'

const Row = Type.Object({
  chain: Type.String(),
  seq: Type.Integer(),
  at: Type.String({ format: 'date-time' }),
  actor: Type.Object({ type: Type.String(), id: Type.String() }),
  action: Type.String(),
  target: Type.String(),
  outcome: Type.Enum(['done', 'refused']),
  address: Type.String(),
  details: Type.Record(Type.String(), Type.Unknown()),
  mac: Type.String(),
  hash: Type.String(),
})
const Word = Type.Optional(Type.String({ minLength: 1, maxLength: 256 }))
const Moment = Type.Optional(Type.String({ format: 'date-time', maxLength: 40 }))
const exportPage = 500

/** The audit as pages, newest first, and as a file of JSON lines, oldest first. */
export function auditRoutes({ read }: Pick<Store, 'read'>): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/audit',
      rule: { role: 'admin' },
      summary: 'What was done and what was refused, newest first',
      query: Type.Object({
        actor: Word,
        action: Word,
        target: Word,
        outcome: Type.Optional(Type.Enum(['done', 'refused'])),
        from: Moment,
        to: Moment,
        cursor: Type.Optional(Type.String({ maxLength: 512 })),
        limit: ListLimit,
      }),
      answer: Type.Object({
        items: Type.Array(Row),
        nextCursor: Type.Union([Type.String(), Type.Null()]),
      }),
      async handle({ query: { actor, action, target, outcome, from, to, cursor, limit: text } }) {
        const limit = Math.min(readLimit(text) ?? 50, 500)
        let rows = read
          .selectFrom('audit_log')
          .selectAll()
          .orderBy('at', 'desc')
          .orderBy('chain', 'desc')
          .orderBy('seq', 'desc')
          .limit(limit + 1)
        if (actor !== undefined) rows = rows.where('actorId', '=', actor)
        if (action !== undefined) rows = rows.where('action', '=', action)
        if (target !== undefined) rows = rows.where('target', '=', target)
        if (outcome === 'done' || outcome === 'refused') rows = rows.where('outcome', '=', outcome)
        if (from !== undefined) rows = rows.where('at', '>=', Date.parse(from))
        if (to !== undefined) rows = rows.where('at', '<', Date.parse(to))
        if (cursor !== undefined) {
          const [at, chain, seq] = readCursor(cursor)
          rows = rows.where(({ eb, refTuple, tuple }) =>
            eb(refTuple('at', 'chain', 'seq'), '<', tuple(at, chain, seq)),
          )
        }
        const found = await rows.execute()
        const page = found.slice(0, limit)
        const last = page.at(-1)
        return {
          items: page.map(viewRow),
          nextCursor: found.length > limit && last ? encodeCursor([last.at, last.chain, last.seq]) : null,
        }
      },
    },
    {
      method: 'GET',
      path: '/api/audit/export',
      rule: { role: 'admin' },
      summary: 'The whole audit as JSON lines, oldest first',
      handle: ({ reply }) =>
        reply
          .type('application/x-ndjson; charset=utf-8')
          .header('content-disposition', 'attachment; filename="audit.jsonl"')
          .send(Readable.from(lines(read))),
    },
  ]
}

async function* lines(read: Store['read']): AsyncGenerator<string> {
  const chains = await read.selectFrom('audit_log').select('chain').distinct().orderBy('chain').execute()
  for (const { chain } of chains) {
    let last = 0
    for (;;) {
      const page = await read
        .selectFrom('audit_log')
        .selectAll()
        .where('chain', '=', chain)
        .where('seq', '>', last)
        .orderBy('seq')
        .limit(exportPage)
        .execute()
      yield page.map((row) => `${JSON.stringify(viewRow(row))}\n`).join('')
      last = page.at(-1)?.seq ?? last
      if (page.length < exportPage) break
    }
  }
}

function viewRow({ chain, seq, at, actorType, actorId, details, ...rest }: AuditRow): object {
  return {
    ...{ chain, seq, at: new Date(at).toISOString(), actor: { type: actorType, id: actorId } },
    ...rest,
    details: JSON.parse(details),
  }
}

function readCursor(text: string): readonly [number, string, number] {
  const [at, chain, seq] = decodeCursor(text, 3)
  if (typeof at !== 'number' || typeof chain !== 'string' || typeof seq !== 'number')
    throw fleetError('FLT_CURSOR_INVALID')
  return [at, chain, seq]
}
