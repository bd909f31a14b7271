import { defineContract, Type } from '@fleetupdate/sdk'

/** A capability that only prints: what the benchmarks measure is everything around it. */
export const lines = defineContract('lines', {
  commands: {
    print: {
      input: Type.Object(
        { count: Type.Integer({ minimum: 1, maximum: 10_000_000 }) },
        { additionalProperties: false },
      ),
    },
  },
})
