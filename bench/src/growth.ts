import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { growthOfAgents } from './growth/agents.ts'
import { growthOfCommands } from './growth/commands.ts'
import { growthOfHistory } from './growth/history.ts'
import { growthOfLines } from './growth/lines.ts'
import { describeMachine } from './machine.ts'
import { writeBetweenMarks } from './write-docs.ts'

/** How cost grows; each is a program part of its own with a server of its own. Arguments name some of them; `--docs` writes docs/performance.md. */
const parts = {
  agents: growthOfAgents,
  lines: growthOfLines,
  commands: growthOfCommands,
  history: growthOfHistory,
}

const args = process.argv.slice(2)
const wanted = args.filter((arg) => !arg.startsWith('--'))
const unknown = wanted.filter((name) => !(name in parts))
if (unknown.length > 0) {
  console.error(`Nothing grows by ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}.`)
  process.exit(2)
}
const machine = describeMachine()
const tables: string[] = []
for (const [name, measure] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const table = await measure()
  console.log(`\n${table}\n`)
  tables.push(table)
}
const text = `${tables.join('\n\n')}\n\n${machine}`
if (args.includes('--docs')) writeBetweenMarks('docs/performance.md', 'growth', text)
else writeFileSync(join(process.cwd(), 'node_modules/.cache/bench/growth.md'), text)
process.exit(0)
