import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The pages of docs/guide with the code they quote as it stands: below `<!-- include: FILE -->` or `<!-- include: FILE#region -->` the fenced block
 * holds that file, or what stands in it between `#region name` and `#endregion`.
 */
export function guidePages(root: string): Readonly<Record<string, string>> {
  const folder = 'docs/guide'
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith('.md'))
  return Object.fromEntries(
    names.map((name) => {
      const file = `${folder}/${name}`
      return [file, expand(readFileSync(join(root, file), 'utf8'), root, file)]
    }),
  )
}

function expand(page: string, root: string, from: string): string {
  return page.replace(
    /<!-- include: (\S+?)(?:#(\S+))? -->\n```(\w*)\n[\s\S]*?```\n/g,
    (_all, file: string, region: string | undefined, language: string) => {
      const text = readFileSync(join(root, file), 'utf8')
      const code = region === undefined ? text : regionOf(text, region)
      if (code === undefined) throw new Error(`${from} quotes ${file}#${region}, which is not there.`)
      const marker = `<!-- include: ${file}${region === undefined ? '' : `#${region}`} -->`
      return `${marker}\n\`\`\`${language}\n${code.trimEnd()}\n\`\`\`\n`
    },
  )
}

function regionOf(text: string, region: string): string | undefined {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => new RegExp(`#region ${region}(\\s|$)`).test(line))
  const end = lines.findIndex((line, i) => i > start && line.includes('#endregion'))
  if (start < 0 || end < 0) return undefined
  const chosen = lines.slice(start + 1, end)
  const indents = chosen.filter((line) => line.trim() !== '').map((line) => line.search(/\S/))
  return chosen.map((line) => line.slice(Math.min(...indents))).join('\n')
}
