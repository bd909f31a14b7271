import { parseArgs } from 'node:util'

export interface BenchOptions {
  /** Names of figures; empty: all. */
  readonly only: readonly string[]
  /** Size of the large fleet. */
  readonly agents: number
  /** File for the figures as JSON. */
  readonly json: string | undefined
  /** Whether the table in docs/performance.md is written anew. */
  readonly docs: boolean
  /** Whether the ratios are held against bench/ratios.json. */
  readonly guard: boolean
}

export const usage = `npm run bench                          every figure, one table, at most ten minutes
npm run bench -- --only frames,lines   some figures
npm run bench -- --agents 2000         a smaller or larger fleet than 10,000
npm run bench -- --json figures.json   the same as JSON
npm run bench -- --docs                writes the table into docs/performance.md
npm run bench -- --guard               holds the quick ratios against bench/ratios.json; fails on a clear regression
npm run bench -- --profile profiles    a CPU profile of every process, to be opened in a browser's developer tools
npm run bench:growth                   how cost grows with agents, lines, commands and history
npm run bench:soak -- --minutes 30     2,000 agents with commands and viewers: memory, files, errors`

/** Throws with what is wrong and the usage; undefined where only the usage was asked for. */
export function readOptions(args: readonly string[], known: readonly string[]): BenchOptions | undefined {
  const { values, positionals } = parse(args)
  if (values.help === true) return undefined
  const only = [...positionals, ...(values.only ?? '').split(',')].filter((name) => name !== '')
  const unknown = only.filter((name) => !known.includes(name))
  if (unknown.length > 0)
    throw new Error(`There is no figure ${unknown.join(', ')}; there are ${known.join(', ')}.`)
  const agents = Number(values.agents ?? 10_000)
  if (!Number.isInteger(agents) || agents < 100 || agents > 100_000)
    throw new Error('--agents takes a whole number from 100 to 100000.')
  return {
    ...{ only, agents, json: values.json },
    docs: values.docs === true,
    guard: values.guard === true,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        agents: { type: 'string' },
        json: { type: 'string' },
        docs: { type: 'boolean' },
        guard: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
  }
}
