import { metrics } from '@fleetupdate/plugin-metrics/contract'
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { createSampler } from './sampler.ts'

/** Measures inside the agent, from /proc and statfs alone; no program is started. */
export default defineExecutor(metrics, {
  facts: { sample: { everySeconds: 60, collect: createSampler() } },
})
