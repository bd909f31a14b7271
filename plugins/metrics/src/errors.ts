import { createErrors } from '@fleetupdate/sdk'

/** Every error of this plugin. */
export const catalogue = {
  FLT_AGENT_UNKNOWN: { status: 404, message: 'No agent "{id}" is enrolled. See GET /api/agents.' },
  FLT_METRICS_UNKNOWN: { status: 400, message: 'There is no metric "{metric}". Known: {known}.' },
  FLT_METRICS_TIME: {
    status: 400,
    message: '{name} "{value}" is not a time. Send Unix milliseconds or ISO 8601, and from before to.',
  },
  FLT_METRICS_STEP: {
    status: 400,
    message: 'The step "{value}" is not a length of time. Send seconds, or for example 10m or 1h.',
  },
  FLT_METRICS_AGENTS: { status: 400, message: 'Name between 1 and {most} agents: agents=a,b,c.' },
} as const

export const metricsError = createErrors(catalogue)
