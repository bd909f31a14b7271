#!/usr/bin/env node
import { createInterface } from 'node:readline/promises'
import { runCli } from '../dist/cli/index.js'

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => stopping.abort())

process.exitCode = await runCli(process.argv.slice(2), {
  cwd: process.cwd(),
  env: process.env,
  print: (line) => console.log(line),
  note: (line) => console.error(line),
  signal: stopping.signal,
  async confirm(question) {
    if (!process.stdin.isTTY) return false
    const terminal = createInterface({ input: process.stdin, output: process.stdout })
    try {
      return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
    } finally {
      terminal.close()
    }
  },
})
