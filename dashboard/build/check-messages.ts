import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Plugin } from 'vite'

/**
 * Fails the build where a language lacks a message of another, where placeholders or plural forms differ, where the code names a
 * message that does not exist, or where a message is named nowhere.
 */
export function checkMessages(source: string): Plugin {
  return {
    name: 'fleetupdate:check-messages',
    apply: 'build',
    async buildStart() {
      const problems = await messageProblems(source)
      if (problems.length > 0) this.error(`Messages do not fit:\n  ${problems.join('\n  ')}`)
    },
  }
}

type Messages = Readonly<Record<string, string>>

/** One line per problem; empty where all languages are complete. */
export async function messageProblems(source: string): Promise<readonly string[]> {
  const read = async (language: string): Promise<Messages> =>
    JSON.parse(await readFile(join(source, 'messages', `${language}.json`), 'utf8'))
  const [en, fr] = [await read('en'), await read('fr')]
  const code = (await sources(source)).join('\n')
  return [
    ...compare('fr', en, fr),
    ...Object.keys(fr)
      .filter((key) => !(key in en))
      .map((key) => `en.json lacks "${key}"`),
    ...usedKeys(code)
      .filter((key) => !(key in en))
      .map((key) => `the code asks for "${key}", which no language has`),
    ...Object.keys(en)
      .filter((key) => !isUsed(key, code))
      .map((key) => `"${key}" is used nowhere`),
    ...[en, fr].flatMap((messages) =>
      Object.entries(messages)
        .filter(([, text]) => /(^|[^'])@/.test(text))
        .map(([key]) => `"${key}" has an @, which would be read as a link to another message: write {'@'}`),
    ),
  ]
}

function compare(language: string, wanted: Messages, given: Messages): string[] {
  return Object.entries(wanted).flatMap(([key, text]) => {
    const other = given[key]
    if (other === undefined) return [`${language}.json lacks "${key}"`]
    if (shape(text) !== shape(other))
      return [`${language}.json: "${key}" has other placeholders or plural forms`]
    return []
  })
}

function shape(text: string): string {
  const names = new Set([...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))
  return `${[...names].sort().join()}/${text.split('|').length}`
}

function usedKeys(code: string): string[] {
  return [
    ...new Set([...code.matchAll(/\b(?:t|plural)\('([a-z]\w*(?:\.[\w-]+)+)'/g)].map(([, key]) => key ?? '')),
  ]
}

/** Named whole, or its group is named in a template: `t(`state.${x}`)`. */
function isUsed(key: string, code: string): boolean {
  if (code.includes(`'${key}'`)) return true
  const groups = key.split('.').map((_, i, all) => all.slice(0, i + 1).join('.'))
  return groups.some((group) => code.includes(`\`${group}.\${`))
}

async function sources(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return Promise.all(
    entries
      .filter((entry) => entry.isFile() && /\.(vue|ts)$/.test(entry.name) && !entry.name.endsWith('.test.ts'))
      .map((entry) => readFile(join(entry.parentPath, entry.name), 'utf8')),
  )
}
