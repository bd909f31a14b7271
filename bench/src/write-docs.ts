import { readFileSync, writeFileSync } from 'node:fs'

/** Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a page. Throws where the page has no such marks. */
export function writeBetweenMarks(file: string, name: string, text: string): void {
  const page = readFileSync(file, 'utf8')
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [page.indexOf(open), page.indexOf(close)]
  if (from < 0 || to < from) throw new Error(`${file} has no place marked ${open} … ${close}.`)
  writeFileSync(file, `${page.slice(0, from + open.length)}\n\n${text}\n\n${page.slice(to)}`)
}
