/** An answer that is no success, or no answer at all (`FLT_NO_ANSWER`, status 0). The message is for people. */
export class RequestProblem extends Error {
  override readonly name = 'RequestProblem'
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    readonly details?: unknown,
  ) {
    super(message)
  }
}

export interface RequestOptions {
  readonly body?: unknown
  /** A file, sent as it is. */
  readonly file?: { readonly type: string; readonly content: Blob }
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly signal?: AbortSignal
  /** Makes a repeated submit the same submit. */
  readonly idempotencyKey?: string
  /** Arrives even where the page is being left. */
  readonly keepalive?: boolean
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

let signedOut: () => void = () => undefined

/** Called whenever the server says that nobody is signed in. */
export function onSignedOut(handler: () => void): void {
  signedOut = handler
}

/** Asks the server this page came from. Rejects with a {@link RequestProblem}. */
export async function request<T>(method: Method, path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(method, path, options)
  if (response.status === 204) return Object.create(null)
  if (response.ok) return response.json()
  const problem = await problemOf(response)
  // A wrong password or code, asked for once more, ends no session.
  if (problem.code === 'FLT_AUTH_REQUIRED') signedOut()
  throw problem
}

/** The same for an answer that is plain text. */
export async function requestText(path: string, options: RequestOptions = {}): Promise<string> {
  const response = await send('GET', path, options)
  if (response.ok) return response.text()
  throw await problemOf(response)
}

/** The address of a path of the API, below wherever this page is served. */
export function apiUrl(path: string, query: RequestOptions['query'] = {}): URL {
  const url = new URL(`api/${path}`, document.baseURI)
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value))
  return url
}

/** Makes any failure something that can be shown. */
export function asProblem(error: unknown): RequestProblem {
  if (error instanceof RequestProblem) return error
  return new RequestProblem('FLT_PAGE_FAILED', 0, error instanceof Error ? error.message : String(error))
}

async function send(method: Method, path: string, options: RequestOptions): Promise<Response> {
  const headers = new Headers()
  const content =
    options.file?.content ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
  if (content !== undefined) headers.set('content-type', options.file?.type ?? 'application/json')
  if (options.idempotencyKey) headers.set('idempotency-key', options.idempotencyKey)
  try {
    return await fetch(apiUrl(path, options.query), {
      method,
      headers,
      credentials: 'same-origin',
      keepalive: options.keepalive ?? false,
      ...(content === undefined ? {} : { body: content }),
      ...(options.signal ? { signal: options.signal } : {}),
    })
  } catch (error) {
    if (options.signal?.aborted) throw error
    throw new RequestProblem('FLT_NO_ANSWER', 0, 'The server does not answer.')
  }
}

async function problemOf(response: Response): Promise<RequestProblem> {
  const body: unknown = await response.json().catch(() => undefined)
  const { code, message, details } = isRecord(body) ? body : {}
  return new RequestProblem(
    typeof code === 'string' ? code : `HTTP_${response.status}`,
    response.status,
    typeof message === 'string' ? message : `The server answered with status ${response.status}.`,
    details,
  )
}

/** Tells an object with named members from everything else. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
