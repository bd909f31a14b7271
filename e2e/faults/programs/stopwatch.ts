import { Agent, get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

// Asks a server for its fleet again and again, and tells how long each answer took once it is told to stop.

const { url, token } = JSON.parse(process.argv[2] ?? '{}')
const agent = new Agent({ keepAlive: true })
const latencies: number[] = []
let isOver = false

process.once('message', () => {
  isOver = true
})
process.send?.('measuring')
while (!isOver) {
  const askedMs = performance.now()
  await ask()
  latencies.push(performance.now() - askedMs)
  await pause(20)
}
process.send?.(latencies, () => process.exit(0))

function ask(): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` }
    get(`${url}/api/agents?limit=50`, { agent, headers }, (answer) => answer.resume().on('end', resolve)).on(
      'error',
      reject,
    )
  })
}
