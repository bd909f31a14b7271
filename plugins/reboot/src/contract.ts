import { defineContract, type Static, Type } from '@fleetupdate/sdk'

const text = (maxLength: number) => Type.String({ maxLength })
const Time = Type.String({ format: 'date-time' })
const closed = { additionalProperties: false }

/** The running system, and whether it must be started anew. */
export const RebootState = Type.Object({
  required: Type.Boolean(),
  /** Packages that ask for it, and the kernel that waits; empty where nobody said why. */
  reasons: Type.Array(text(200), { maxItems: 200 }),
  runningKernel: text(200),
  /** The newest installed one of the running kind; null where none is known (containers). */
  installedKernel: Type.Union([text(200), Type.Null()]),
  /** Another one after every boot. */
  bootId: text(64),
  bootedAt: Time,
  /** When a scheduled reboot happens; null where none is scheduled. */
  scheduledAt: Type.Union([Time, Type.Null()]),
})
export type RebootState = Static<typeof RebootState>

/** Says which hosts need a reboot and why, schedules it, and tells when they came back. */
export const reboot = defineContract('reboot', {
  facts: { state: RebootState },
  facets: {
    required: ({ state }) => state?.required,
    scheduled: ({ state }) => (state === undefined ? undefined : state.scheduledAt !== null),
    kernel: ({ state }) => state?.runningKernel,
  },
  commands: {
    schedule: {
      title: 'Schedule a reboot',
      description:
        'Announces a reboot on the host and has systemd do it. At least a minute ahead, so that the result gets home.',
      input: Type.Object(
        { minutes: Type.Integer({ title: 'Minutes from now', minimum: 1, maximum: 1440, default: 1 }) },
        closed,
      ),
      result: Type.Object({ at: Time }),
      dangerous: true,
      timeoutSeconds: 60,
    },
    cancel: {
      title: 'Cancel the scheduled reboot',
      input: Type.Object({}, closed),
      result: Type.Object({ wasScheduled: Type.Boolean() }),
      timeoutSeconds: 60,
    },
  },
})
