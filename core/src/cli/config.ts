import { settingList } from '../settings.ts'
import { exitCodes, type Noun, type Verb } from './verb.ts'

const check: Verb = {
  summary: 'Check the settings without starting anything',
  details: [
    'A value that does not fit is named with the fix, and the exit code is 2. Secrets are never printed.',
  ],
  examples: ['', '--env-file /opt/orchestrator/.env'],
  async run(call) {
    const { notices, dataDir, masterKeyFile, host, port, publicUrls } = call.config()
    const urls = publicUrls.map(({ href }) => href)
    return {
      lines: [
        `The settings fit: ${settingList.length} are known.`,
        `  listens on   ${host}:${port}`,
        `  reached by   ${urls.join(', ') || 'whatever the Host header says (PUBLIC_URL is not set)'}`,
        `  data in      ${dataDir}`,
        `  master key   ${masterKeyFile}`,
        ...notices.map((notice) => `Notice: ${notice}`),
      ],
      json: { ok: true, host, port, publicUrls: urls, dataDir, masterKeyFile, notices },
      exitCode: exitCodes.done,
    }
  },
}

/** The settings as the server would read them. */
export const configNoun: Noun = { summary: 'The settings of the server', verbs: { check } }
