import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

const tests = '**/*.test.ts'
const fixtures = [...configDefaults.exclude, '**/fixtures/**']
/** They measure, or load the machine until it is busy: nothing else runs meanwhile. */
const alone = ['faults/**/*.test.ts', 'attacks/**/*.test.ts']

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: { conditions: ['source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    testTimeout: 120_000,
    hookTimeout: 240_000,
    // Each file starts servers, agents, booted hosts or a browser of its own, and waits for them most of the time.
    projects: [
      {
        extends: true,
        test: {
          name: 'side by side',
          include: [tests],
          exclude: [...fixtures, ...alone],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: alone,
          exclude: fixtures,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
