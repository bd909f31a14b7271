import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

const all = '**/*.test.ts'
const fixtures = [...configDefaults.exclude, '**/fixtures/**']
/** They make networks: a browser drops its requests when a link of the machine comes or goes. */
const networks = ['install/**/*.test.ts']
/** They measure, or load the machine until it is busy. */
const loads = ['faults/**/*.test.ts', 'attacks/**/*.test.ts']

/** What runs in the same turn, so many files at once. */
function group(
  name: string,
  order: number,
  workers: number,
  { include = [all], exclude = [] as string[] },
): TestProjectInlineConfiguration {
  const sequence = { groupOrder: order }
  const files = { include, exclude: [...fixtures, ...exclude] }
  return { extends: true, test: { name, ...files, maxWorkers: workers, sequence } }
}

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: { conditions: ['source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    testTimeout: 120_000,
    hookTimeout: 240_000,
    // Each file starts servers, agents, booted hosts or a browser of its own, and waits for them most of the time.
    projects: [
      group('networks', 0, 2, { include: networks }),
      group('side by side', 1, 2, { exclude: [...networks, ...loads] }),
      group('alone', 2, 1, { include: loads }),
    ],
  },
})
