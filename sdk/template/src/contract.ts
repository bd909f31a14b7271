import { defineContract, Type } from '@fleetupdate/sdk'

const percent = Type.Integer({ minimum: 0, maximum: 100 })

/** The whole truth of this capability: types, validation, routes and permissions follow from it. */
export const myPlugin = defineContract('my-plugin', {
  facts: { usedPercent: percent },
  facets: { full: ({ usedPercent }) => (usedPercent === undefined ? undefined : usedPercent >= 90) },
  commands: {
    measure: {
      title: 'Measure a file system',
      input: Type.Object(
        { path: Type.String({ pattern: '^/', maxLength: 200 }) },
        { additionalProperties: false },
      ),
      result: Type.Object({ usedPercent: percent }),
      timeoutSeconds: 30,
    },
  },
})
