import { defineContract, Type } from '@fleetupdate/sdk'

const work = Type.Object(
  {
    /** File to which each start adds the command's id as a line. */
    ledger: Type.String(),
    lines: Type.Integer({ minimum: 0 }),
    pauseMs: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
)

/** Commands that leave traces by which a start that was lost or doubled is seen. */
export const lab = defineContract('lab', {
  facts: { round: Type.Integer() },
  commands: {
    work: { input: work, result: Type.Object({ lines: Type.Integer() }), cancel: 'safe-point' },
    serial: {
      input: work,
      result: Type.Object({ lines: Type.Integer() }),
      lane: 'lab',
      cancel: 'safe-point',
    },
    pour: {
      input: Type.Object(
        {
          kind: Type.Union([Type.Literal('lines'), Type.Literal('one-line'), Type.Literal('binary')]),
          bytes: Type.Integer(),
        },
        { additionalProperties: false },
      ),
    },
    drip: { endless: true },
  },
})
