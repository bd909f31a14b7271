import { defineContract, type Static, Type } from '@fleetupdate/sdk'

const text = (maxLength: number) => Type.String({ maxLength })
const closed = { additionalProperties: false }

/** A unit that failed, as systemd describes it. */
export const FailedUnit = Type.Object({ unit: text(255), description: text(500) })
export type FailedUnit = Static<typeof FailedUnit>

/** How a unit is, in systemd's own words. */
export const UnitState = Type.Object({
  unit: text(255),
  /** `active`, `inactive`, `failed`, `activating`, … */
  active: text(64),
  /** `running`, `exited`, `dead`, … */
  sub: text(64),
  /** `enabled`, `disabled`, `static`, …; '' where it has no file. */
  enabled: text(64),
})
export type UnitState = Static<typeof UnitState>

const input = Type.Object(
  {
    unit: Type.String({
      title: 'Unit',
      description: 'Name of a systemd unit; without a suffix, a service is meant',
      pattern: '^[A-Za-z0-9@_:][A-Za-z0-9@_.:\\\\-]{0,254}$',
    }),
  },
  closed,
)
const change = { input, result: UnitState, lane: 'services', timeoutSeconds: 300 }

/** Which systemd units failed, and the commands to look at one and to start, stop or restart it. */
export const services = defineContract('services', {
  facts: { failed: Type.Array(FailedUnit, { maxItems: 500 }) },
  facets: { failed: ({ failed }) => failed?.length },
  commands: {
    status: {
      title: 'Show a unit',
      description: 'Its state, and the last 50 lines it logged.',
      effect: 'observe',
      input,
      result: UnitState,
      timeoutSeconds: 60,
    },
    journal: {
      title: 'Follow a unit',
      description: 'Shows what it logged last, then every new line until it is cancelled.',
      effect: 'observe',
      input,
      endless: true,
    },
    start: { ...change, title: 'Start a unit' },
    stop: { ...change, title: 'Stop a unit', dangerous: true },
    restart: { ...change, title: 'Restart a unit', dangerous: true },
  },
})
