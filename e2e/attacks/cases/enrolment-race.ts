import type { Attack } from '../attack.ts'
import { enrol } from '../hostile-agent.ts'

/** One single-use token, or one id, wanted by 50 at the same moment. */
export const enrolmentRaceAttack: Attack = {
  name: 'enrolment-race',
  title: '50 enrolments at once with one token, and 50 for one id',
  required: 'exactly 1 agent each time',
  async run(target, size) {
    const { url, admin } = target
    const rounds = size === 'full' ? 20 : 2
    const numbers: number[] = []
    const count = async (tries: readonly Promise<unknown>[]): Promise<void> => {
      const results = await Promise.allSettled(tries)
      numbers.push(results.filter(({ status }) => status === 'fulfilled').length)
    }
    for (let round = 0; round < rounds; round++) {
      const { body } = await admin.request<{ id: string; token: string }>('POST', '/api/enrolment/tokens', {})
      const text = body.token.split('_')[2] ?? ''
      target.secrets.set('an enrolment token', text)
      await count(
        Array.from({ length: 50 }, (_, i) => enrol(url, `race-${round}-${i}`, { id: body.id, text })),
      )
      const psk = { id: 'psk', text: String(target.secrets.get('SERVER_PSK')) }
      await count(Array.from({ length: 50 }, () => enrol(url, `one-id-${round}`, psk)))
    }
    return {
      passed: numbers.every((number) => number === 1),
      reached: `${Math.min(...numbers)} to ${Math.max(...numbers)} in ${numbers.length} races`,
    }
  },
}
