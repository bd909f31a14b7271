/** Builds main.js and root-helper.js into a folder; default: dist. */
export function buildAgent(outdir?: string): Promise<void>
