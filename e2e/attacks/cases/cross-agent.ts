import type { Attack } from '../attack.ts'
import { greet, type Identity, poll, send, sign } from '../hostile-agent.ts'

/** An enrolled agent with its own right keys, at what belongs to another. */
export const crossAgentAttack: Attack = {
  name: 'cross-agent',
  title: "agent A with its keys on B's commands, output and results",
  required: '0 effects, 0 bytes of B told to A',
  async run(target) {
    const { url, admin } = target
    const a = await target.enrol('agent-a')
    const b = await target.enrol('agent-b')
    const command = await admin.submit('agent-b', 'os-updates.refresh')
    const sessionB = await greet(b, url)
    const effects: string[] = []
    const before = await admin.command(command.id)
    const sessionA = await greet(a, url)
    const at = new Date().toISOString()
    const about = { commandId: command.id, epoch: 1 }
    const frames: readonly object[] = [
      { type: 'accept', ...about, startedAt: at },
      { type: 'output', ...about, offset: 0, text: 'forged' },
      { type: 'progress', ...about, percent: 50 },
      { type: 'reject', ...about, kind: 'cancelled', reason: 'forged' },
      { type: 'result', ...about, state: 'succeeded', exitCode: 0, startedAt: at, finishedAt: at },
    ]
    for (const frame of frames) {
      const { answer } = await poll(a, url, [frame], sessionA)
      if (answer.status >= 500) effects.push(`${answer.status} for ${JSON.stringify(frame)}`)
      if (answer.body.includes('offer')) effects.push('A was offered something')
    }
    // B's session in A's hands, and B's name over A's key.
    const stolen = await poll(a, url, [{ type: 'accept', ...about, startedAt: at }], sessionB)
    if (stolen.answer.status === 200) effects.push("A used B's session")
    const disguised: Identity = { ...a, agentId: 'agent-b' }
    const body = JSON.stringify({ boot: '', wait: 0, frames: [] })
    const forged = await send(url, sign(disguised, url, { method: 'POST', path: '/api/agent/poll', body }))
    if (forged.status !== 401) effects.push(`A as B was answered ${forged.status}`)
    const after = await admin.command(command.id)
    const told = ['started', 'running', 'succeeded', 'rejected', 'cancelled', 'failed']
    if (told.includes(after.state)) effects.push(`B's command went from ${before.state} to ${after.state}`)
    if (after.output !== undefined) effects.push("B's command got output")
    const more = effects.length === 0 ? '' : `: ${effects.join('; ')}`
    return {
      passed: effects.length === 0,
      reached: `${effects.length} effects in ${frames.length + 2} tries${more}`,
    }
  },
}
