import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface WrittenExecutor {
  readonly id: string
  /** JavaScript of the module; `contract` is in scope. */
  readonly module: string
  readonly contract?: object
  readonly manifest?: object
}

/** Writes an executor package as a build leaves it, for tests. Returns its folder. */
export function writeExecutor(
  parent: string,
  { id, module, contract = {}, manifest = {} }: WrittenExecutor,
): string {
  const folder = join(parent, id)
  mkdirSync(join(folder, 'dist'), { recursive: true })
  const fleetupdate = { id, sdk: '1', executor: './dist/executor.js', ...manifest }
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: `executor-${id}`, version: '1.2.3', type: 'module', fleetupdate }),
  )
  const text = JSON.stringify({ id, facts: {}, facets: {}, commands: {}, ...contract })
  writeFileSync(join(folder, 'dist', 'executor.js'), `const contract = ${text}\n${module}\n`)
  return folder
}
