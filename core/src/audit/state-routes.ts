import { Type } from 'typebox'
import { byOf, type Route } from '../http/routes.ts'
import type { Store } from '../store/store.ts'
import type { Audit } from './create-audit.ts'
import { type AuditReport, verifyAudit } from './verify.ts'

const Signed = Type.Object({
  seq: Type.Integer(),
  hash: Type.String(),
  at: Type.String({ format: 'date-time' }),
})

/** How far the chain is signed, and whether it is whole. */
export function auditStateRoutes(deps: {
  readonly store: Store
  readonly audit: Pick<Audit, 'checkpoint' | 'note'>
  readonly masterKey: Uint8Array
  /** The file of signed checkpoints. */
  readonly checkpoints: string
}): readonly Route[] {
  const { store, audit, masterKey, checkpoints } = deps
  // It reads all rows: two who ask at once get the same answer.
  let underway: Promise<AuditReport> | undefined
  const verify = (): Promise<AuditReport> => {
    underway ??= verifyAudit({ read: store.read, masterKey, checkpoints }).finally(() => {
      underway = undefined
    })
    return underway
  }
  return [
    {
      method: 'GET',
      path: '/api/audit/state',
      rule: { role: 'admin' },
      summary: 'The newest row of the audit, and the newest one that was signed',
      answer: Type.Object({
        rows: Type.Integer(),
        signed: Type.Union([Signed, Type.Null()]),
      }),
      async handle() {
        const { rows } = await store.read
          .selectFrom('audit_log')
          .select(({ fn }) => fn.countAll<number>().as('rows'))
          .executeTakeFirstOrThrow()
        const mark = audit.checkpoint()
        return { rows: Number(rows), signed: mark ? { seq: mark.seq, hash: mark.hash, at: mark.at } : null }
      },
    },
    {
      method: 'POST',
      path: '/api/audit/verify',
      rule: { role: 'admin' },
      summary: 'Read the whole audit and name every row that was edited, inserted, removed or cut off',
      answer: Type.Object({
        rows: Type.Integer(),
        checkpoints: Type.Integer(),
        unsigned: Type.Integer({ description: 'Rows after the newest checkpoint' }),
        problems: Type.Array(Type.String()),
      }),
      async handle(call) {
        const report = await verify()
        const { rows, problems } = report
        await audit.note({
          ...byOf(call),
          action: 'audit.verified',
          details: { rows, problems: problems.length },
        })
        return report
      },
    },
  ]
}
