import { readFileSync, writeFileSync } from 'node:fs'
import { agent } from './figures/agent.ts'
import { batch } from './figures/batch.ts'
import { burst } from './figures/burst.ts'
import { click } from './figures/click.ts'
import { dashboard } from './figures/dashboard.ts'
import { frames } from './figures/frames.ts'
import { heartbeats } from './figures/heartbeats.ts'
import { lines } from './figures/lines.ts'
import { list } from './figures/list.ts'
import { memory } from './figures/memory.ts'
import { metrics } from './figures/metrics.ts'
import { start } from './figures/start.ts'
import { terminal } from './figures/terminal.ts'
import { guardNames, regressions } from './guard.ts'
import { describeMachine } from './machine.ts'
import { type BenchOptions, readOptions, usage } from './options.ts'
import { createStage, type Measure, type Stage } from './stage.ts'
import { type Figure, formatTable, markdownTable } from './table.ts'
import { writeBetweenMarks } from './write-docs.ts'

/** In this order: the fleet only grows. */
const measures: readonly Measure[] = [
  start,
  agent,
  heartbeats,
  frames,
  lines,
  burst,
  click,
  memory,
  batch,
  list,
  metrics,
  dashboard,
  terminal,
]

const options = readOrStop()
const names = options.guard ? guardNames : options.only
const chosen = measures.filter(({ name }) => names.length === 0 || names.includes(name))
const machine = describeMachine()

const failed: string[] = []
const figures = [...(await measureAll(chosen))]
if (options.guard && failed.length === 0 && regressions(figures, committedRatios()).length > 0) {
  console.log('Something fell: measured once more, before anybody is alarmed by a busy minute.')
  figures.unshift(...betterOf(figures, await measureAll(chosen)))
}
console.log(`\n${formatTable(figures)}\n\n${machine}\n`)
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify({ machine, figures }, null, 2)}\n`)
if (options.docs)
  writeBetweenMarks('docs/performance.md', 'figures', `${markdownTable(figures)}\n\n${machine}`)
if (options.guard) failed.push(...regressions(figures, committedRatios()))
for (const problem of failed) console.error(problem)
process.exit(failed.length > 0 ? 1 : 0)

function readOrStop(): BenchOptions {
  try {
    const read = readOptions(
      process.argv.slice(2),
      measures.map(({ name }) => name),
    )
    if (read) return read
    console.log(usage)
    return process.exit(0)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    return process.exit(2)
  }
}

function committedRatios(): Readonly<Record<string, number>> {
  return JSON.parse(readFileSync('bench/ratios.json', 'utf8'))
}

/** Of figures measured again, those that are better than before; the first of a name counts. */
function betterOf(before: readonly Figure[], again: readonly Figure[]): readonly Figure[] {
  return again.filter(
    ({ name, ratio = 0 }) => ratio > (before.find((figure) => figure.name === name)?.ratio ?? 0),
  )
}

/** Measures on a stage of its own. */
async function measureAll(wanted: readonly Measure[]): Promise<readonly Figure[]> {
  const stage = createStage(options.agents)
  const measured: Figure[] = []
  try {
    for (const measure of wanted) measured.push(...(await attempt(measure, stage)))
  } finally {
    await stage.dispose()
  }
  return measured
}

/** A figure that can't be measured fails the run, but not the others. */
async function attempt({ name, measure }: Measure, on: Stage): Promise<readonly Figure[]> {
  const began = performance.now()
  try {
    const measured = await measure(on)
    console.log(`  ${name} (${Math.round((performance.now() - began) / 1000)} s)`)
    return measured
  } catch (error) {
    failed.push(`${name} could not be measured: ${error instanceof Error ? error.stack : String(error)}`)
    return []
  }
}
