import { parseArgs } from 'node:util'
import type { Fault } from './fault.ts'
import { faults } from './faults.ts'
import { figuresTable, type ProvedRow, provedTable, type Row, writeDocs } from './report.ts'
import { endRunning, runFault } from './run-fault.ts'

// What the lab started must not outlive it.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void endRunning().finally(() => process.exit(130)))

// What fails before its fault waits for it is heard of when it does; it must not take the other faults along.
process.on('unhandledRejection', (error) => note(`Meanwhile: ${String(error)}`))

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seed: { type: 'string' },
    smoke: { type: 'boolean' },
    prove: { type: 'boolean' },
    table: { type: 'boolean' },
    'write-docs': { type: 'boolean' },
    verbose: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})

if (values.help === true) {
  console.log(`npm run faults -- [--only name,name] [--seed number] [--smoke] [--prove] [--table] [--write-docs] [--verbose]

--prove       runs each fault, small, against a build that is broken on purpose: then it must fail
--table       prints the rows as a Markdown table at the end
--write-docs  puts that table into docs/reference/guarantees.md; with --only its rows alone, the others stay

${faults.map(({ name, title }) => `  ${name.padEnd(22)}${title}`).join('\n')}`)
  process.exit(0)
}

const isProof = values.prove === true
// A break shows in the small run already, where there is one.
const size = values.smoke === true || isProof ? 'smoke' : 'full'
const wanted = values.only?.split(',')
const unknown = wanted?.filter((name) => !faults.some((fault) => fault.name === name)) ?? []
if (unknown.length > 0) {
  console.error(`There is no fault "${unknown[0]}". Known: ${faults.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const began = performance.now()
console.log(`Fault lab, ${isProof ? 'proof' : size}, seed ${seed}\n`)
const rows: Row[] = []
const proved: ProvedRow[] = []
for (const fault of faults) {
  if (!(wanted?.includes(fault.name) ?? true)) continue
  const isSmall = (fault.sizes ?? ['smoke', 'full']).includes('smoke')
  if (!isProof && size === 'smoke' && !isSmall && wanted === undefined) continue
  const problem = fault.problem?.()
  if (problem !== undefined) {
    console.log(`–  ${fault.name}\n   skipped: ${problem}\n`)
    rows.push({ fault, outcome: 'skipped', reached: `skipped: ${problem}` })
  } else if (isProof) await prove(fault)
  else await measure(fault)
}
const minutes = ((performance.now() - began) / 60_000).toFixed(1)
const good = rows.filter(({ outcome }) => outcome === 'reached').length
const skipped = rows.filter(({ outcome }) => outcome === 'skipped').length
const failed = rows.length - good - skipped
const what = isProof ? 'breaks were noticed' : 'as required'
console.log(`${good} ${what}, ${failed} not, ${skipped} skipped; ${minutes} min, seed ${seed}`)
const table = isProof ? provedTable(proved) : figuresTable(rows)
if (values.table === true) console.log(`\n${table}`)
if (values['write-docs'] === true)
  await writeDocs(isProof ? 'proved' : 'figures', {
    table,
    run: runLine(),
    part: wanted === undefined ? 'all' : 'some',
  })
process.exit(failed > 0 ? 1 : 0)

async function measure(fault: Fault): Promise<void> {
  const { passed, reached, seconds } = await runFault(fault, { size, seed, note, build: 'as-it-is' })
  console.log(`${passed ? '✓' : '✗'}  ${fault.name} (${seconds.toFixed(0)} s): ${fault.title}`)
  console.log(`   required   ${fault.required}\n   reached    ${reached}`)
  if (!passed)
    console.log(
      `   again      npm run faults -- --only ${fault.name} --seed ${seed}${size === 'smoke' ? ' --smoke' : ''}`,
    )
  console.log('')
  rows.push({ fault, outcome: passed ? 'reached' : 'missed', reached })
}

async function prove(fault: Fault): Promise<void> {
  const { what } = fault.sabotage
  const { passed, reached, seconds } = await runFault(fault, { size, seed, note, build: 'sabotaged' }).catch(
    // A break that does not apply proves nothing, and says nothing about the others.
    async (error: unknown) => {
      await endRunning()
      return { passed: true, reached: String(error), seconds: 0 }
    },
  )
  console.log(`${passed ? '✗' : '✓'}  ${fault.name} (${seconds.toFixed(0)} s): ${fault.title}`)
  console.log(`   broken     ${what}\n   saw        ${reached}\n`)
  rows.push({ fault, outcome: passed ? 'missed' : 'reached', reached })
  proved.push({ fault, saw: passed ? '**nothing**' : reached })
}

function note(text: string): void {
  if (values.verbose === true) console.log(`     ${text}`)
}

function runLine(): string {
  const when = new Date().toISOString().slice(0, 10)
  if (wanted !== undefined)
    return `Each row is of the last time its fault was run; the last part on ${when}: ${wanted.join(', ')}, seed ${seed}.`
  return `Run of ${when} in ${minutes} min, seed ${seed}: ${good} ${what}, ${failed} not, ${skipped} skipped.`
}
