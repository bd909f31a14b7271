import { type AgentFrame, limits, PollAnswer, type ServerFrameOf } from '@fleetupdate/sdk/protocol'
import {
  type Channel,
  type ChannelOptions,
  createSilenceTimer,
  readFrame,
  receiveIn,
  refusedBy,
} from './channel.ts'
import { createCheck } from './check.ts'
import { agentError, describeError } from './errors.ts'
import type { SignedAnswer } from './signed-http.ts'

const path = '/api/agent/poll'
const answerCheck = createCheck(PollAnswer)
/** Room for the envelope below the limit of a body. */
const bodyBytes = limits.frameBytes - 1024

/** What outlives a poll session: the server process the agent last talked to. */
export interface PollMemory {
  boot: string
}

/**
 * Opens a session over signed polls, for networks that let no WebSocket through. One request waits for frames, another carries frames up as soon
 * as there are any. Rejects with FLT_LINK_…
 */
export async function openPoll(options: ChannelOptions, memory: PollMemory): Promise<Channel> {
  const { serverUrl } = options
  const { identity } = options.keys
  const http = options.http(identity)
  const closing = new AbortController()
  const signal = AbortSignal.any([options.signal, closing.signal])
  const queue: string[] = []
  let session: string | undefined
  let uploading = false
  let end: (reason: string) => void = () => undefined
  const ended = new Promise<string>((settle) => {
    end = settle
  })
  const silence = createSilenceTimer(() => stop('the server was silent for 60 s'))
  const stop = (reason: string): void => {
    end(reason)
    silence.stop()
    closing.abort()
  }
  signal.addEventListener('abort', () => stop('the agent closed it'), { once: true })

  const poll = async (frames: readonly unknown[], wait: number): Promise<readonly unknown[]> => {
    const post = (): Promise<SignedAnswer> => {
      const body = { boot: memory.boot, wait, ...(session === undefined ? {} : { session }), frames }
      return http.post(path, body, { timeoutMs: wait * 1000 + 15_000, signal })
    }
    let answer = await post()
    const boot = answer.refusal?.details?.boot
    if (answer.trusted && answer.refusal?.code === 'FLT_AUTH_BOOT' && boot !== undefined) {
      memory.boot = boot
      answer = await post()
    }
    if (answer.status !== 200) throw refusedBy(serverUrl, answer)
    if (!answer.trusted)
      throw agentError('FLT_LINK_UNTRUSTED', { url: serverUrl, problem: 'its answer is not signed' })
    if (!answerCheck.accepts(answer.body)) throw malformed(serverUrl, answerCheck.problem(answer.body))
    memory.boot = answer.body.boot
    silence.touch()
    return answer.body.frames
  }
  const send = (frame: AgentFrame): void => {
    if (signal.aborted) return
    queue.push(JSON.stringify(frame))
    upload().catch((error) => stop(describeError(error)))
  }
  const receive = receiveIn(options, send, stop)
  const deliver = (values: readonly unknown[]): void => {
    for (const value of values) {
      const frame = readFrame(value)
      if (frame === 'malformed') throw malformed(serverUrl, 'a frame does not fit its schema')
      if (frame !== 'unknown') receive(frame)
    }
  }
  const upload = async (): Promise<void> => {
    if (uploading) return
    uploading = true
    // Frames queued in one turn of the loop travel together.
    await Promise.resolve()
    while (queue.length > 0 && !signal.aborted) deliver(await poll(takeBatch(queue), 0))
    uploading = false
  }
  const listen = async (): Promise<void> => {
    while (!signal.aborted) deliver(await poll([], limits.pollWaitSeconds))
  }

  try {
    const frames = await poll([options.hello()], 0)
    const [first, ...rest] = frames.map(readFrame)
    const welcome = first
    if (!isWelcome(welcome)) throw malformed(serverUrl, 'it did not begin with a welcome')
    session = welcome.session
    // After the caller has the channel: what follows `welcome` must find someone who listens.
    setImmediate(() => {
      for (const frame of rest) if (typeof frame === 'object') receive(frame)
      listen().catch((error) => stop(describeError(error)))
    })
    return {
      way: 'poll',
      welcome,
      identity,
      send,
      close: () => stop('the agent closed it'),
      ended,
    }
  } catch (error) {
    stop(describeError(error))
    throw error
  }
}

/** Takes from the queue what fits into one poll, at least one frame. */
function takeBatch(queue: string[]): readonly unknown[] {
  let bytes = 0
  let count = 0
  for (const text of queue) {
    bytes += Buffer.byteLength(text) + 1
    if (count > 0 && (bytes > bodyBytes || count >= limits.framesPerPoll)) break
    count += 1
  }
  return queue.splice(0, count).map((text): unknown => JSON.parse(text))
}

function isWelcome(frame: ReturnType<typeof readFrame> | undefined): frame is ServerFrameOf<'welcome'> {
  return typeof frame === 'object' && frame.type === 'welcome'
}

function malformed(url: string, problem = 'its answer does not fit'): Error {
  return agentError('FLT_LINK_UNTRUSTED', { url, problem })
}
