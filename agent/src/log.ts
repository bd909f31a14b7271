import type { Log } from '@fleetupdate/sdk'

type Level = 'debug' | 'info' | 'warn' | 'error'

/**
 * A log of one line an entry: `warn  text key=value`. Control characters, which a server or a program may have sent, are replaced, so
 * that no entry can look like two. Times are left to the journal.
 */
export function createLog(write: (line: string) => void, options: { readonly least: Level }): Log {
  const order: readonly Level[] = ['debug', 'info', 'warn', 'error']
  const entry =
    (level: Level) =>
    (message: string, data: Readonly<Record<string, unknown>> = {}): void => {
      if (order.indexOf(level) < order.indexOf(options.least)) return
      const pairs = Object.entries(data).map(([key, value]) => ` ${key}=${plain(value)}`)
      write(`${level.padEnd(5)} ${oneLine(message)}${oneLine(pairs.join(''))}`)
    }
  return { debug: entry('debug'), info: entry('info'), warn: entry('warn'), error: entry('error') }
}

/** Text of a stranger as one printable line of at most 2,000 characters. */
export function oneLine(text: string): string {
  return text.slice(0, 2000).replace(/\p{Cc}+/gu, ' ')
}

function plain(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? 'undefined'
}
