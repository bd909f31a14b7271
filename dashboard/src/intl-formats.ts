/** The formatter of a language for numbers; made once, because making one costs more than all of a table row. */
export function numberFormat(language: string, options: Intl.NumberFormatOptions = {}): Intl.NumberFormat {
  return kept(numbers, language, options, () => new Intl.NumberFormat(language, options))
}

/** The formatter of a language for dates and times, in the zone the person was in when it was first asked for. */
export function dateFormat(language: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return kept(dates, language, options, () => new Intl.DateTimeFormat(language, options))
}

/** The formatter of a language for how long ago something was. */
export function agoFormat(
  language: string,
  options: Intl.RelativeTimeFormatOptions,
): Intl.RelativeTimeFormat {
  return kept(agos, language, options, () => new Intl.RelativeTimeFormat(language, options))
}

const numbers = new Map<string, Intl.NumberFormat>()
const dates = new Map<string, Intl.DateTimeFormat>()
const agos = new Map<string, Intl.RelativeTimeFormat>()
// Far more than the pages use; a panel that makes up options without end costs no memory without end.
const mostKept = 200

function kept<T>(formats: Map<string, T>, language: string, options: object, make: () => T): T {
  const key = `${language} ${JSON.stringify(options)}`
  const known = formats.get(key)
  if (known !== undefined) return known
  const made = make()
  if (formats.size >= mostKept) formats.clear()
  formats.set(key, made)
  return made
}
