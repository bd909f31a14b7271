/** The numbers both sides of the wire agree on. */
export const limits = {
  protocol: 1,
  /** A frame, and a poll's body, in bytes. */
  frameBytes: 1024 * 1024,
  /** The text of one output frame, in UTF-8 bytes. */
  outputFrameBytes: 64 * 1024,
  /** Kept output of one command; beyond it the middle is dropped. Endless commands keep a ring of this size. */
  outputBytes: 10 * 1024 * 1024,
  /** Of `outputBytes`, what is kept of the end once the middle is dropped. */
  outputTailBytes: 2 * 1024 * 1024,
  /** Output sent and not yet acknowledged. */
  outputWindowBytes: 1024 * 1024,
  heartbeatMs: 20_000,
  /** Silence after which an agent counts as gone. */
  silenceMs: 60_000,
  clockWindowSeconds: 300,
  nonceSeconds: 660,
  pollWaitSeconds: 25,
  /** How long an offer may be accepted; renewed while the agent is connected. */
  offerSeconds: 60,
  framesPerPoll: 256,
  /** What one answer carries of a bundle. */
  bundlePartBytes: 512 * 1024,
} as const
