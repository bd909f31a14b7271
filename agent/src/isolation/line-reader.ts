import type { Readable } from 'node:stream'

export interface LineLimits {
  /** Of one line, in characters. */
  readonly line: number
  /** Of all lines together; undefined: none. */
  readonly total?: number
}

/**
 * Calls `take` with each line of a stream, and `broken` once where it keeps to no limit; then the rest is not looked at.
 */
export function readLines(
  stream: Readable,
  limits: LineLimits,
  { take, broken }: { take(line: string): void; broken(problem: string): void },
): void {
  let rest = ''
  let total = 0
  let isOver = false
  const stop = (problem: string): void => {
    isOver = true
    rest = ''
    stream.destroy()
    broken(problem)
  }
  stream.setEncoding('utf8')
  stream.on('error', () => undefined)
  stream.on('data', (text: string) => {
    if (isOver) return
    total += text.length
    if (limits.total !== undefined && total > limits.total) return stop('it wrote too much')
    let from = 0
    for (let end = text.indexOf('\n'); end >= 0 && !isOver; end = text.indexOf('\n', from)) {
      const line = rest + text.slice(from, end)
      rest = ''
      from = end + 1
      if (line.length > limits.line) return stop('it wrote too long a line')
      take(line)
    }
    rest += text.slice(from)
    if (rest.length > limits.line) stop('it wrote too long a line')
  })
}
