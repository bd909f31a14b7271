import type { Log } from '@fleetupdate/sdk'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

const order: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** One line per message: time, level, text, then `key=value` as JSON. `write` gets the line with its line feed. */
export function createLog(write: (line: string) => void, least: LogLevel = 'info'): Log {
  const at =
    (level: LogLevel): Log['info'] =>
    (message, data = {}) => {
      if (order.indexOf(level) < order.indexOf(least)) return
      const pairs = Object.entries(data).map(
        ([key, value]) => ` ${key}=${JSON.stringify(value) ?? 'undefined'}`,
      )
      write(`${new Date().toISOString()} ${level.padEnd(5)} ${oneLine(message)}${pairs.join('')}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Messages can quote what strangers sent: control characters must not reach a terminal, nor forge a second line. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ')
}
