import { type Setting, settingList } from './settings.ts'

/** The page docs/reference/settings.md, from the table of settings. */
export function settingsReference(): string {
  return `<!-- Generated from core/src/settings.ts by \`npm run generate\`. Do not edit. -->

# Settings of the server

Environment variables; an installed server reads them from \`/opt/orchestrator/.env\`. What is not secret can also be an argument,
which then counts first: \`--data-dir /srv/fleet\`. An empty value is none. A value that does not fit stops the start with one line
that names the setting and the fix.

| setting | what it is | default |
| --- | --- | --- |
${settingList.map(row).join('\n')}
`
}

function row({
  name,
  kind,
  description,
  default: fallback,
  otherwise,
  must,
  isSecret,
  argument,
}: Setting): string {
  const form = isSecret ? `${kind}, secret` : `${kind}, \`--${argument}\``
  const value = otherwise ?? `\`${String(fallback)}\``
  const cells = [`\`${name}\`<br>${form}`, `${description} It ${must}.`, value]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
