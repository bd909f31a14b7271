/** The rule of the host's own policy that refused a command (`policy: rule "mode" …`); undefined where it ended otherwise. */
export function policyRule({
  state,
  reason,
}: {
  readonly state: string
  readonly reason?: string | undefined
}): string | undefined {
  return state === 'rejected' ? /^policy: rule "([\w-]+)"/.exec(reason ?? '')?.[1] : undefined
}
