import { defineExecutor } from '@fleetupdate/sdk/executor'
import { lines } from './contract.ts'

export default defineExecutor(lines, {
  commands: {
    async print({ count }, { run }) {
      await run('seq', ['-f', 'line %.0f of the benchmark', String(count)])
    },
  },
})
