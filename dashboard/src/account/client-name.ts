import { t } from '../text.ts'

const browsers = [
  ['Firefox', /Firefox\//],
  ['Edge', /Edg\//],
  ['Opera', /OPR\//],
  ['Chrome', /Chrome\//],
  ['Safari', /Safari\//],
] as const
const systems = [
  ['Android', /Android/],
  ['iOS', /iPhone|iPad/],
  ['Windows', /Windows/],
  ['macOS', /Mac OS X|Macintosh/],
  ['Linux', /Linux|X11/],
] as const

/** `Firefox, Linux` for a User-Agent that names them; else its first words, which programs choose themselves. */
export function clientName(client: string): string {
  const found = [browsers, systems].flatMap(
    (kinds) => kinds.find(([, pattern]) => pattern.test(client))?.[0] ?? [],
  )
  if (found.length > 0) return found.join(', ')
  return client.split(/[ (]/)[0]?.slice(0, 40) || t('sessions.unknown')
}
