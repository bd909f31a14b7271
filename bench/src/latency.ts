import { Client } from 'undici'

/** One request after another over one kept connection; milliseconds of each, its whole body read. Throws where an answer is not 200. */
export async function askRepeatedly(
  url: string,
  requests: number,
  ask: { readonly path: string | ((previous: string) => string); readonly token?: string },
): Promise<readonly number[]> {
  const http = new Client(url)
  const headers = ask.token === undefined ? {} : { authorization: `Bearer ${ask.token}` }
  const times: number[] = []
  let text = ''
  try {
    for (let i = 0; i < requests; i++) {
      const path = typeof ask.path === 'string' ? ask.path : ask.path(text)
      const began = performance.now()
      const { statusCode, body } = await http.request({ method: 'GET', path, headers })
      text = await body.text()
      times.push(performance.now() - began)
      if (statusCode !== 200) throw new Error(`GET ${path} answered ${statusCode}: ${text.slice(0, 300)}`)
    }
  } finally {
    await http.close()
  }
  return times
}
