import { defineContract, type Static, Type } from '@fleetupdate/sdk'

const closed = { additionalProperties: false }
const path = Type.String({
  title: 'Path',
  pattern: '^/var/log(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$',
  maxLength: 200,
})

/** How much a folder holds; not `complete` where the agent's user may not read all of it. */
export const Size = Type.Object({ bytes: Type.Integer({ minimum: 0 }), complete: Type.Boolean() })
export type Size = Static<typeof Size>

/** From this many bytes on, logs are large. */
export const largeBytes = 1_000_000_000

/** How much the logs of a VM hold. */
export const logSizes = defineContract('log-sizes', {
  // #region facts
  facts: { total: Size },
  facets: {
    bytes: ({ total }) => total?.bytes,
    large: ({ total }) => (total === undefined ? undefined : total.bytes >= largeBytes),
  },
  // #endregion
  commands: {
    // #region measure
    measure: {
      title: 'Measure logs',
      effect: 'observe',
      input: Type.Object(
        { paths: Type.Array(path, { minItems: 1, maxItems: 20, default: ['/var/log'] }) },
        closed,
      ),
      result: Type.Object({ sizes: Type.Array(Type.Intersect([Type.Object({ path }), Size])) }),
      cancel: 'safe-point',
      lane: 'log-sizes',
      timeoutSeconds: 900,
    },
    // #endregion
    // #region follow
    follow: {
      title: 'Follow a log',
      effect: 'observe',
      input: Type.Object({ file: path }, closed),
      endless: true,
    },
    // #endregion
  },
})
