import { parseArgs } from 'node:util'
import { faults } from './faults.ts'
import { endRunning, runFault } from './run-fault.ts'

// What the lab started must not outlive it.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void endRunning().finally(() => process.exit(130)))

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seed: { type: 'string' },
    smoke: { type: 'boolean' },
    prove: { type: 'boolean' },
    verbose: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})

if (values.help === true) {
  console.log(`npm run faults -- [--only name,name] [--seed number] [--smoke] [--prove] [--verbose]

--prove runs each fault against a build that is broken on purpose: then it must fail.

${faults.map(({ name, title }) => `  ${name.padEnd(22)}${title}`).join('\n')}`)
  process.exit(0)
}

const size = values.smoke === true ? 'smoke' : 'full'
const wanted = values.only?.split(',')
const unknown = wanted?.filter((name) => !faults.some((fault) => fault.name === name)) ?? []
if (unknown.length > 0) {
  console.error(`There is no fault "${unknown[0]}". Known: ${faults.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const chosen = faults.filter(({ name }) => wanted?.includes(name) ?? true)
const began = performance.now()
console.log(`Fault lab, ${size}, seed ${seed}\n`)
let failed = 0
for (const fault of chosen) {
  if (values.prove === true && !fault.sabotage) continue
  const problem = fault.problem?.()
  if (problem !== undefined) {
    console.log(`–  ${fault.name}\n   skipped: ${problem}\n`)
    continue
  }
  if (!(fault.sizes ?? ['smoke', 'full']).includes(size) && wanted === undefined) continue
  const build = values.prove === true ? 'sabotaged' : 'as-it-is'
  const note = values.verbose === true ? (text: string) => console.log(`     ${text}`) : () => undefined
  const { passed, reached, seconds } = await runFault(fault, { size, seed, note, build })
  const good = values.prove === true ? !passed : passed
  if (!good) failed++
  console.log(`${good ? '✓' : '✗'}  ${fault.name} (${seconds.toFixed(0)} s): ${fault.title}`)
  if (values.prove === true) console.log(`   broken     ${fault.sabotage?.what}`)
  console.log(`   required   ${fault.required}\n   reached    ${reached}`)
  if (!good)
    console.log(
      `   again      npm run faults -- --only ${fault.name} --seed ${seed}${size === 'smoke' ? ' --smoke' : ''}`,
    )
  console.log('')
}
console.log(
  `${chosen.length - failed} of ${chosen.length} as required, ${((performance.now() - began) / 60_000).toFixed(1)} min, seed ${seed}`,
)
process.exit(failed > 0 ? 1 : 0)
