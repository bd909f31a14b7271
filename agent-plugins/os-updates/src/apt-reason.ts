const maximumLength = 600

/**
 * apt's error lines as one line for people: `E:` without the letter, most telling first, each once. `fallback` where the text holds
 * none.
 */
export function aptReason(text: string, fallback: string): string {
  const errors = text
    .split('\n')
    .flatMap((line) => /^E: (.+)$/.exec(line.trimEnd())?.[1]?.replace(/\s+/g, ' ') ?? [])
    .filter((line) => !/^Some index files failed to download/.test(line))
  const reason = [...new Set(errors)].join('; ')
  if (reason === '') return fallback
  return reason.length <= maximumLength ? reason : `${reason.slice(0, maximumLength - 1)}…`
}
