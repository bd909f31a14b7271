import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startSilent } from './child.ts'
import type { Server } from './server.ts'

export interface AgentOptions {
  readonly id: string
  /** Its state and configuration are kept here. */
  readonly dir: string
  /** Folders whose sub-folders are executors. */
  readonly executors: readonly string[]
  /** Its main module; default: the built one. */
  readonly entry?: string
  /** What it dials, where that is not the server itself. */
  readonly url?: string
}

/** Starts a real agent, built and with its default settings, and waits until the server counts it as online. */
export async function startAgent(server: Server, options: AgentOptions): Promise<Child> {
  const { id, dir, executors, url = server.url } = options
  const { entry = join(process.cwd(), 'agent/dist/main.js') } = options
  const stateDir = join(dir, id)
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const config = join(stateDir, 'config.yaml')
  const settings = { id, server_url: url, psk: server.psk, state_dir: stateDir, executors }
  const lines = Object.entries(settings).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
  writeFileSync(config, ['agent:', ...lines, ''].join('\n'), { mode: 0o600 })
  const child = startSilent(entry, {
    AGENT_CONFIG: config,
    NO_PROMPT: '1',
  })
  try {
    await server.client.until(
      `agent ${id} to be online`,
      async () => (await server.client.agent(id))?.status === 'online',
    )
  } catch (error) {
    await child.stop()
    throw error
  }
  return child
}
