/** Rows as a Markdown table under a heading. */
export function growthTable(
  title: string,
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [`**${title}**`, '', line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n')
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}
