import { parseArgs } from 'node:util'
import { attacks } from './attacks.ts'
import { startTarget } from './target.ts'

const { values } = parseArgs({ options: { only: { type: 'string' }, smoke: { type: 'boolean' } } })
const wanted = values.only?.split(',')
const unknown = wanted?.find((name) => !attacks.some((attack) => attack.name === name))
if (unknown !== undefined) {
  console.error(`There is no attack "${unknown}". Known: ${attacks.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}
const size = values.smoke === true ? 'smoke' : 'full'
const chosen = attacks.filter(({ name }) => wanted?.includes(name) ?? true)
console.log(`Attacks, ${size}\n`)
const target = await startTarget()
let failed = 0
try {
  for (const attack of chosen) {
    const began = performance.now()
    const { passed, reached } = await attack.run(target, size)
    if (!passed) failed++
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    console.log(`${passed ? '✓' : '✗'}  ${attack.name} (${seconds} s): ${attack.title}`)
    console.log(`   required   ${attack.required}\n   reached    ${reached}\n`)
  }
} finally {
  await target.stop()
}
console.log(`${chosen.length - failed} of ${chosen.length} as required`)
process.exit(failed > 0 ? 1 : 0)
