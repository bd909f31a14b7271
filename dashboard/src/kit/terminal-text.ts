/** What a terminal has shown so far, so that it can be filtered, copied and shown again. Keeps the newest lines. */
export interface TerminalText {
  add(text: string): void
  /** Lines with this text, whatever its case; all where it is empty. */
  matching(filter: string): string
  plain(): string
}

const linesKept = 100_000
const escapeCharacter = String.fromCharCode(27)
const colours = new RegExp(`${escapeCharacter}\\[[\\d;:]*[mK]`, 'g')

export function createTerminalText(): TerminalText {
  let lines: string[] = []
  let last = ''
  const all = (): string[] => (last === '' ? lines : [...lines, last])
  return {
    add(text) {
      const parts = (last + text).split('\n')
      last = parts.pop() ?? ''
      for (const part of parts) lines.push(part)
      if (lines.length > linesKept * 1.2) lines = lines.slice(-linesKept)
    },
    matching(filter) {
      if (filter === '') return [...lines, last].join('\n')
      const wanted = filter.toLowerCase()
      return all()
        .filter((line) => line.toLowerCase().includes(wanted))
        .map((line) => `${line}\n`)
        .join('')
    },
    plain: () => all().join('\n').replaceAll(colours, ''),
  }
}
