/** Builds the agent's programs into a folder; default: dist. `version`: what it says instead of its package's version. */
export function buildAgent(outdir?: string, options?: { version?: string | undefined }): Promise<void>
