/** What the exit codes of `fleetupdate` mean; the program on the server has the same. */
export const exitCodes = {
  done: 0,
  /** Done, and something was found that needs a person. */
  finding: 1,
  /** The words were not understood. Nothing was done. */
  usage: 2,
  /** Refused or impossible. Nothing was changed. */
  refused: 3,
} as const
