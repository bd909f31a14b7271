import { setTimeout as pause } from 'node:timers/promises'
import { enrol, WireAgent } from '@fleetupdate/core/testing'

// Many agents on the wire in one process: enrols them, says so, and keeps each connected for as long as it lives.

const { url, from, count } = JSON.parse(process.argv[2] ?? '{}')
const secret = { id: 'psk', text: 'a-secret-for-tests-0123456789' }

for (let i = from; i < from + count; i++) {
  const agent = new WireAgent(url, await enrol(url, `sim-${i}`, secret))
  agent.record = false
  void live(agent)
}
process.send?.('enrolled')

/** Connects again after each loss, with the back-off of the protocol. */
async function live(agent: WireAgent): Promise<void> {
  for (let failures = 1; ; failures++) {
    const closed = agent.closed()
    try {
      await agent.connect()
      failures = 0
      await closed
    } catch {
      agent.terminate()
    }
    await pause(Math.random() * Math.min(5_000, 500 * 2 ** Math.max(1, failures)))
  }
}
