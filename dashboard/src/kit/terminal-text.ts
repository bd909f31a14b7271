/** What a terminal has shown so far, so that it can be filtered, copied and shown again. Keeps the newest lines. */
export interface TerminalText {
  add(text: string): void
  /** Number of the next line; lines that were given up count too. */
  readonly end: number
  /** What stands behind the last line feed. */
  readonly last: string
  /** At most so many whole lines from a number on, and the number to go on with. */
  read(from: number, most: number): { readonly lines: readonly string[]; readonly next: number }
  plain(): string
  has(wanted: string): boolean
}

const linesKept = 100_000
const escapeCharacter = String.fromCharCode(27)
const colours = new RegExp(`${escapeCharacter}\\[[\\d;:]*[mK]`, 'g')

export function createTerminalText(): TerminalText {
  let lines: string[] = []
  let first = 0
  let last = ''
  return {
    get end() {
      return first + lines.length
    },
    get last() {
      return last
    },
    add(text) {
      const parts = (last + text).split('\n')
      last = parts.pop() ?? ''
      for (const part of parts) lines.push(part)
      if (lines.length <= linesKept * 1.2) return
      first += lines.length - linesKept
      lines = lines.slice(-linesKept)
    },
    read(from, most) {
      const start = Math.max(0, from - first)
      const found = lines.slice(start, start + most)
      return { lines: found, next: first + start + found.length }
    },
    has(wanted) {
      const small = wanted.toLowerCase()
      return last.toLowerCase().includes(small) || lines.some((line) => line.toLowerCase().includes(small))
    },
    plain: () => (last === '' ? lines : [...lines, last]).join('\n').replaceAll(colours, ''),
  }
}
