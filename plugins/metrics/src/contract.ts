import { defineContract, Type } from '@fleetupdate/sdk'

const closed = { additionalProperties: false }
const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Rate = Type.Union([Bytes, Type.Null()], {
  description: 'Bytes per second; null until two rounds were seen',
})

/** What a host does right now: `sample`, once a minute, at most about 600 bytes of JSON. Sizes are bytes. */
export const metrics = defineContract('metrics', {
  facts: {
    sample: Type.Object(
      {
        cpu: Type.Union([Type.Number({ minimum: 0, maximum: 100 }), Type.Null()], {
          description: 'Percent of all cores since the last round; null in the first',
        }),
        cores: Type.Integer({ minimum: 1, maximum: 65_536 }),
        load: Type.Array(Type.Number({ minimum: 0, maximum: 1_000_000 }), {
          minItems: 3,
          maxItems: 3,
          description: 'Over 1, 5 and 15 minutes',
        }),
        memory: Type.Object({ total: Bytes, used: Bytes, available: Bytes }, closed),
        swap: Type.Object({ total: Bytes, used: Bytes }, closed),
        disks: Type.Array(
          Type.Object(
            { mount: Type.String({ minLength: 1, maxLength: 128 }), used: Bytes, total: Bytes },
            closed,
          ),
          {
            maxItems: 6,
            description: 'The root and the fullest others; total is what df calls used + available',
          },
        ),
        network: Type.Object({ rx: Rate, tx: Rate }, closed),
        uptime: Type.Integer({ minimum: 0, maximum: 10_000_000_000, description: 'Seconds' }),
      },
      closed,
    ),
  },
  facets: {
    cpu: ({ sample }) => sample?.cpu,
    memory: ({ sample }) =>
      sample && percent(sample.memory.total - sample.memory.available, sample.memory.total),
    disk: ({ sample }) => sample && fullest(sample.disks),
  },
})

/** Percent used of the fullest disk, null without disks. */
export function fullest(disks: readonly { readonly used: number; readonly total: number }[]): number | null {
  const values = disks.map(({ used, total }) => percent(used, total)).filter((value) => value !== null)
  return values.length === 0 ? null : Math.max(...values)
}

/** A share in percent with one decimal; null where there is nothing to have a share of. */
export function percent(part: number, whole: number): number | null {
  if (whole <= 0) return null
  return Math.round(Math.min(Math.max(part / whole, 0), 1) * 1000) / 10
}
