import { agent } from './figures/agent.ts'
import { batch } from './figures/batch.ts'
import { burst } from './figures/burst.ts'
import { click } from './figures/click.ts'
import { frames } from './figures/frames.ts'
import { heartbeats } from './figures/heartbeats.ts'
import { lines } from './figures/lines.ts'
import { list } from './figures/list.ts'
import { memory } from './figures/memory.ts'
import { metrics } from './figures/metrics.ts'
import { start } from './figures/start.ts'
import { createStage, type Measure, type Stage } from './stage.ts'
import { type Figure, formatTable } from './table.ts'

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
]

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !measures.some((measure) => measure.name === name))
if (unknown.length > 0) {
  console.error(
    `There is no figure ${unknown.join(', ')}; there are ${measures.map(({ name }) => name).join(', ')}.`,
  )
  process.exit(2)
}
const chosen = measures.filter(({ name }) => wanted.length === 0 || wanted.includes(name))

const stage = createStage()
const failed: string[] = []
const figures: Figure[] = []
try {
  const beside = chosen.filter(({ runs }) => runs === 'beside').map((measure) => attempt(measure, stage))
  for (const measure of chosen.filter(({ runs }) => runs === 'alone'))
    figures.push(...(await attempt(measure, stage)))
  for (const measured of beside) figures.push(...(await measured))
} finally {
  await stage.dispose()
}
console.log(`\n${formatTable(figures)}\n`)
for (const problem of failed) console.error(problem)
process.exit(failed.length > 0 ? 1 : 0)

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
