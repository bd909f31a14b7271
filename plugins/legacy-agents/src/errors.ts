import { createErrors } from '@fleetupdate/sdk'

/** Everything this capability refuses. */
export const catalogue = {
  FLT_LEGACY_SIGNATURE: {
    status: 401,
    message: 'The signature of this request is wrong. Give the agent the secret that was set for old agents.',
  },
  FLT_LEGACY_NO_SECRET: {
    status: 401,
    message: 'No secret for old agents is set. An admin sets it: PUT /api/plugins/legacy-agents/secret',
  },
  FLT_LEGACY_BODY: {
    status: 400,
    message: 'This is not what an agent of the first FleetUpdate sends: {problem}.',
  },
  FLT_LEGACY_ATTEMPT: { status: 404, message: 'This agent runs no command {command}.' },
} as const

/** Builds an error of this catalogue. */
export const legacyError = createErrors(catalogue)
