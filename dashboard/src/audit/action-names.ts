import { t, textOf } from '../text.ts'

/** What the server writes down, in the order of the list to choose from. Others are shown by their own name. */
export const actions = [
  'session.opened',
  'session.ended',
  'sessions.ended',
  'login.refused',
  'password.changed',
  'second-factor.added',
  'second-factor.removed',
  'user.created',
  'user.role-changed',
  'user.disabled',
  'user.enabled',
  'user.removed',
  'api-token.created',
  'api-token.ended',
  'enrolment-token.created',
  'enrolment-token.ended',
  'enrolment-token.opened',
  'enrolment.requested',
  'enrolment.approved',
  'enrolment.refused',
  'agent.enrolled',
  'agent.reset',
  'agent.removed',
  'agent.quarantined',
  'agent.released',
  'agent.rekeyed',
  'agent.rekey-wanted',
  'agent-request.refused',
  'command.submitted',
  'command.cancelled',
  'batch.submitted',
  'batch.cancelled',
  'plugin.installed',
  'plugin.enabled',
  'plugin.disabled',
  'plugin.removed',
  'request.refused',
  'refusals.counted',
  'audit.verified',
] as const

/** An action in plain words. */
export function actionName(action: string): string {
  return textOf(`audit.action.${action}`, action)
}

/** Who did it, in words: a person, an agent, the server itself. */
export function actorName({ type, id }: { readonly type: string; readonly id: string }): string {
  if (type === 'user' && id !== '') return id
  const kind = textOf(`audit.actor.${type}`, type)
  return id === '' ? kind : t('audit.actorOf', { kind, id })
}
