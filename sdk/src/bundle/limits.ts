/** What a bundle may be at most, in bytes where nothing else is said; a larger one is refused before it is unpacked. */
export const bundleLimits = {
  packedBytes: 20 * 1024 * 1024,
  unpackedBytes: 64 * 1024 * 1024,
  files: 500,
  /** Of the signed statement. */
  envelopeBytes: 1024 * 1024,
} as const
