/** One row of the audit, as `GET /api/audit` tells. */
export interface AuditRow {
  readonly chain: string
  readonly seq: number
  readonly at: string
  readonly actor: { readonly type: string; readonly id: string }
  readonly action: string
  readonly target: string
  readonly outcome: 'done' | 'refused'
  readonly address: string
  readonly details: Readonly<Record<string, unknown>>
  readonly mac: string
  readonly hash: string
}
