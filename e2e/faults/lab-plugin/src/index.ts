import { appendFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { CommandContext } from '@fleetupdate/sdk'
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { lab } from './contract.ts'

interface Work {
  readonly ledger: string
  readonly lines: number
  readonly pauseMs: number
}

let rounds = 0

export default defineExecutor(lab, {
  facts: { round: () => ++rounds },
  commands: {
    work,
    serial: work,
    async pour({ kind, bytes }, context) {
      for (let left = bytes; left > 0; left -= blockBytes) {
        context.write(blocks[kind].slice(0, Math.min(left, blockBytes)))
        // The runner is one process: its own reading of a cancel wants a turn now and then.
        await pause(0)
      }
    },
    async drip(_input, context) {
      for (let line = 1; ; line++) {
        context.checkpoint()
        context.write(`drip ${line}\n`)
        await pause(5)
      }
    },
  },
})

async function work({ ledger, lines, pauseMs }: Work, context: CommandContext): Promise<{ lines: number }> {
  appendFileSync(ledger, `${context.commandId}\n`)
  for (let line = 1; line <= lines; line++) {
    context.checkpoint()
    context.write(`line ${line} of ${context.commandId} ✓\n`)
    if (pauseMs > 0) await pause(pauseMs)
  }
  appendFileSync(ledger, `${context.commandId} done\n`)
  return { lines }
}

const blockBytes = 64 * 1024
const blocks = {
  lines: 'a line of sixty-four bytes, with nothing special in it at all..\n'.repeat(blockBytes / 64),
  'one-line': 'x'.repeat(blockBytes),
  binary: '\u0000\u001b[31mred\u001b[0m\ud800 and\u0007\u009b\r\n'
    .repeat(blockBytes / 8)
    .slice(0, blockBytes),
}
