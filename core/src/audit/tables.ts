/** What happened to whom, by whom: rows are only ever added. Times are Unix milliseconds. */
export interface AuditRow {
  /** One chain per server that writes; rows of a chain are numbered from 1 without a gap. */
  chain: string
  seq: number
  at: number
  actorType: string
  actorId: string
  action: string
  target: string
  outcome: 'done' | 'refused'
  /** Network address; '' where there was none. */
  address: string
  /** JSON of an object. */
  details: string
  /** HMAC over the content of this row, with a key that the database does not hold. */
  mac: string
  /** SHA-256 over the hash of the row before, the number, the content and `mac`. */
  hash: string
}

export interface AuditTables {
  audit_log: AuditRow
}
