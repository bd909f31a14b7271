import { readdirSync } from 'node:fs'

/** The folders in the root folder, without links. */
export function readRootNames(): readonly string[] {
  return readdirSync('/', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
}
