import { createErrors } from '@fleetupdate/sdk'

/** What a rollout is refused for. The panel has the same in the person's language. */
export const rolloutError = createErrors({
  FLT_ROLLOUT_UNKNOWN: { status: 404, message: 'There is no rollout {id}.' },
  FLT_ROLLOUT_RUNNING: {
    status: 409,
    message: 'A rollout is under way. Halt it first: POST /api/plugins/agent-update/rollouts/{id}/halt.',
  },
  FLT_ROLLOUT_ENDED: {
    status: 409,
    message: 'The rollout {id} is {state}. Only a halted one goes on or is stopped; start a new one.',
  },
  FLT_ROLLOUT_EMPTY: {
    status: 409,
    message:
      'No agent is behind the release that this server hands out. Name agents, or update the server first.',
  },
  FLT_ROLLOUT_NOTHING_BACK: {
    status: 409,
    message: 'No agent of the rollout {id} runs {version} and has a version to go back to.',
  },
  FLT_ROLLOUT_AGENT: { status: 409, message: '{agent} cannot be updated: {problem}' },
})
