import type { CommandContext } from '@fleetupdate/sdk/executor'
import { readScheduledAt } from './state.ts'

const program = '/usr/sbin/shutdown'

/** Schedules the reboot with systemd, which announces it. Answers when it happens, as systemd says. */
export async function schedule(
  { minutes }: { readonly minutes: number },
  context: CommandContext,
): Promise<{ at: string }> {
  await context.run(program, ['--reboot', `+${minutes}`, 'FleetUpdate reboots this host'])
  const at = await readScheduledAt(context)
  if (at === null)
    context.fail('The host did not take the reboot: systemd has none scheduled. See the output.')
  return { at }
}

/** Takes a scheduled reboot back; that none was scheduled is no error. */
export async function cancel(context: CommandContext): Promise<{ wasScheduled: boolean }> {
  const wasScheduled = (await readScheduledAt(context)) !== null
  await context.run(program, ['-c'])
  if ((await readScheduledAt(context)) !== null)
    context.fail('The reboot is still scheduled. Run "shutdown -c" on the host.')
  return { wasScheduled }
}
