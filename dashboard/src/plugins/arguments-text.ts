import { isRecord } from '../api/request.ts'

/** The arguments of a privileged start, as one readable line: exact texts as they are, patterns in angle brackets. */
export function argumentsText(rules: readonly unknown[]): string {
  return rules
    .map((rule) => {
      if (typeof rule === 'string') return rule
      if (isRecord(rule) && typeof rule.rest === 'string') return `<${rule.rest}> …`
      return isRecord(rule) ? `<${String(rule.pattern)}>` : ''
    })
    .join(' ')
}
