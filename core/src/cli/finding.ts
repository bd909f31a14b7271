/** What an examination found at one place: fine, worth a look, or broken, and then what to do. */
export interface Finding {
  readonly check: string
  readonly level: 'ok' | 'warn' | 'bad'
  readonly says: string
  readonly fix?: string
}

export function ok(check: string, says: string): Finding {
  return { check, level: 'ok', says }
}

export function warn(check: string, says: string, fix: string): Finding {
  return { check, level: 'warn', says, fix }
}

export function bad(check: string, says: string, fix: string): Finding {
  return { check, level: 'bad', says, fix }
}
