import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { repository } from '../repository.ts'
import type { Fault } from './fault.ts'
import { faults } from './faults.ts'

/** What became of one fault. */
export interface Row {
  readonly fault: Fault
  readonly outcome: 'reached' | 'missed' | 'skipped'
  readonly reached: string
}

export interface ProvedRow {
  readonly fault: Fault
  readonly saw: string
}

/** One line a fault: figure required, figure reached. */
export function figuresTable(rows: readonly Row[]): string {
  const lines = rows.map(({ fault, outcome, reached }) => {
    const said = outcome === 'missed' ? `**not reached:** ${reached}` : reached
    return [`${fault.name}: ${fault.title}`, fault.required, said]
  })
  return table(['fault', 'required', 'reached'], lines)
}

/** One line a deliberate break: what was broken, and what the fault saw of it. */
export function provedTable(rows: readonly ProvedRow[]): string {
  return table(
    ['fault', 'broken on purpose', 'what it saw'],
    rows.map(({ fault, saw }) => [fault.name, fault.sabotage.what, saw]),
  )
}

/** What one run of the lab has to tell. */
export interface Written {
  readonly table: string
  /** When it ran, and with which seed. */
  readonly run: string
  /** After `some`, rows of faults that did not run now stay as they are. */
  readonly part: 'all' | 'some'
}

/** Puts a table between the marks of its kind in docs/reference/guarantees.md. */
export async function writeDocs(kind: 'figures' | 'proved', written: Written): Promise<void> {
  const file = join(repository, 'docs/reference/guarantees.md')
  const page = await readFile(file, 'utf8')
  const [start, end] = [`<!-- ${kind}: written by npm run faults -->`, `<!-- end of ${kind} -->`]
  const [from, to] = [page.indexOf(start), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${file} has no "${start}" … "${end}".`)
  const { table, run, part } = written
  const merged = part === 'all' ? table : mergeRows(page.slice(from, to), table)
  await writeFile(file, `${page.slice(0, from)}${start}\n\n${merged}\n\n${run}\n\n${page.slice(to)}`)
}

/** The rows of both texts in the order of the lab; where both have one, the newer. */
function mergeRows(before: string, table: string): string {
  const [head = '', line = '', ...rows] = table.split('\n')
  const nameOf = (row: string): string => /^\| ([a-z-]+)/.exec(row)?.[1] ?? ''
  const known = new Map([...before.split('\n'), ...rows].map((row) => [nameOf(row), row]))
  const kept = faults.flatMap(({ name }) => known.get(name) ?? [])
  return [head, line, ...kept].join('\n')
}

/** A line that fits into a cell, without the folders of this machine. */
function shown(cell: string): string {
  const [line = ''] = cell.replaceAll(`${repository}/`, '').split('\n', 1)
  return line.replaceAll('|', '\\|').slice(0, 400)
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => shown(cell)).join(' | ')} |`
  return [line(heads), `|${' --- |'.repeat(heads.length)}`, ...rows.map(line)].join('\n')
}
