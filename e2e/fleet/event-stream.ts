/** What a server-sent event stream said. */
export interface StreamEvent {
  readonly event: string
  readonly id: string
  readonly data: string
  /** When it arrived, in milliseconds since the stream was opened. */
  readonly atMs: number
}

export interface StreamOptions {
  readonly token: string
  readonly lastEventId?: string
  readonly signal?: AbortSignal
}

/** Reads a stream of a command to its end; yields each event as it arrives. */
export async function* readStream(url: string, options: StreamOptions): AsyncGenerator<StreamEvent> {
  const began = performance.now()
  const response = await fetch(url, {
    headers: {
      authorization: `Bearer ${options.token}`,
      ...(options.lastEventId === undefined ? {} : { 'last-event-id': options.lastEventId }),
    },
    ...(options.signal ? { signal: options.signal } : {}),
  })
  if (response.status !== 200 || !response.body)
    throw new Error(`The stream was refused: ${response.status} ${await response.text()}`)
  let text = ''
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end)
      text = text.slice(end + 2)
      if (!block.startsWith(':')) yield { ...parse(block), atMs: performance.now() - began }
    }
  }
}

/** Reads a stream to its end and joins its output. */
export async function readOutput(
  url: string,
  options: StreamOptions,
): Promise<{ text: string; events: readonly StreamEvent[] }> {
  const events: StreamEvent[] = []
  for await (const event of readStream(url, options)) events.push(event)
  const text = events
    .filter(({ event }) => event === 'output')
    .map(({ data }) => (JSON.parse(data) as { text: string }).text)
    .join('')
  return { text, events }
}

function parse(block: string): Omit<StreamEvent, 'atMs'> {
  const fields: Record<string, string> = { event: 'message', id: '', data: '' }
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).replace(/^ /, '')
    fields[name] = name === 'data' && fields.data !== '' ? `${fields.data}\n${value}` : value
  }
  return { event: fields.event ?? '', id: fields.id ?? '', data: fields.data ?? '' }
}
