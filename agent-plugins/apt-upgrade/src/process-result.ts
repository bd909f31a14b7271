/** For programs whose failure the executor explains itself: no exit code makes `run` reject. */
export const anyExitCode: readonly number[] = Array.from({ length: 256 }, (_, code) => code)
