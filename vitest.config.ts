import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    include: ['*/src/**/*.test.ts', 'plugins/*/src/**/*.test.ts', 'agent-plugins/*/src/**/*.test.ts'],
    testTimeout: 20_000,
    passWithNoTests: true,
  },
})
