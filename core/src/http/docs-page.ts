interface Operation {
  summary?: string
  description?: string
  'x-role'?: string
  'x-rule'?: string
  requestBody?: unknown
  responses?: Record<string, unknown>
}

/** The browsable page at /api/docs: the OpenAPI document as plain HTML, without scripts and without any outside request. */
export function docsPage(document: object): string {
  const { info, paths } = document as {
    info: { title: string; version: string }
    paths: Record<string, Record<string, Operation>>
  }
  const rows = Object.entries(paths)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => section(path, method, operation)),
    )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(info.title)} API</title><style>${styles}</style>
<main><h1>${escapeHtml(info.title)} API <small>${escapeHtml(info.version)}</small></h1>
<p>The same as a document for programs: <a href="openapi.json">/api/openapi.json</a>.</p>${rows.join('')}</main></html>`
}

const styles = `body{font:16px/1.5 system-ui,sans-serif;margin:0;color-scheme:light dark}main{max-width:60rem;margin:auto;padding:1rem}
details{border-top:1px solid #8884;padding:.5rem 0}summary{cursor:pointer}code{font-size:.95em}b{display:inline-block;min-width:4.5rem}
small{opacity:.75}pre{overflow:auto;background:#8882;padding:.75rem;border-radius:.5rem}`

function section(path: string, method: string, operation: Operation): string {
  const who = operation['x-role'] ?? operation['x-rule'] ?? ''
  const body = operation.requestBody ? `<h2>Body</h2>${json(operation.requestBody)}` : ''
  return `<details><summary><b>${method.toUpperCase()}</b> <code>${escapeHtml(path)}</code> ${escapeHtml(operation.summary ?? '')} <small>${escapeHtml(who)}</small></summary>
${operation.description ? `<p>${escapeHtml(operation.description)}</p>` : ''}${body}<h2>Answers</h2>${json(operation.responses)}</details>`
}

function json(value: unknown): string {
  return `<pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
