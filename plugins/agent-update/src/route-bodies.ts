import type { StageSize } from './stages.ts'

export interface BackBody {
  readonly stages?: readonly StageSize[]
  readonly stageMinutes?: number
}

export interface StartBody extends BackBody {
  readonly agents?: readonly string[]
  /** The agent to begin with. */
  readonly first?: string
}

const agentId = { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' } as const
const terms = {
  stages: {
    type: 'array',
    minItems: 1,
    maxItems: 10,
    items: {
      anyOf: [
        { type: 'integer', minimum: 1, maximum: 20_000 },
        { type: 'string', pattern: '^(100|[1-9][0-9]?)%$' },
      ],
    },
  },
  stageMinutes: { type: 'integer', minimum: 5, maximum: 1440 },
} as const

/** How agents go back. No body is as good as an empty one. */
export const backBody = { type: ['object', 'null'], additionalProperties: false, properties: terms } as const

/** A rollout to start. */
export const startBody = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    agents: { type: 'array', minItems: 1, maxItems: 20_000, uniqueItems: true, items: agentId },
    first: agentId,
    ...terms,
  },
} as const
