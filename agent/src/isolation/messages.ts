import type { Manifest, PrivilegeState, RunOptions, RunResult } from '@fleetupdate/sdk'

// What a third-party executor's process and the one that started it say to each other: one JSON object a line, over stdin and stdout.

/** The first line: what to load. The module comes along, so that nothing can change between the check and the load. */
export interface LoadOrder {
  readonly say: 'load'
  readonly manifest: Manifest
  /** The text of the executor's module. */
  readonly module: string
}

/** What it does, one after the other. */
export type Task =
  | LoadOrder
  | { readonly say: 'describe' }
  | { readonly say: 'fact'; readonly name: string }
  | {
      readonly say: 'command'
      readonly command: string
      readonly input: unknown
      readonly commandId: string
      readonly precondition?: string
    }

/** What it was waiting for. */
export interface Answer {
  readonly say: 'answer'
  readonly id: number
  readonly value?: unknown
  readonly error?: Told
}

/** It should come back at once, or at its next checkpoint. */
export interface StopWish {
  readonly say: 'stop' | 'checkpoint'
  readonly reason: string
}

export type Order = Task | Answer | StopWish

/** An error as it travels. */
export interface Told {
  readonly message: string
  readonly code?: string
  readonly details?: unknown
}

/** What the process asks of the one that started it. */
export type Question =
  | {
      readonly ask: 'run'
      readonly program: string
      readonly args: readonly string[]
      readonly options: RunOptions
    }
  | { readonly ask: 'privileges' }
  | { readonly ask: 'excludes'; readonly name: string }

export interface Answers {
  readonly run: RunResult
  readonly privileges: readonly PrivilegeState[]
}

/** What comes out of the process, before anybody has looked at it. */
export interface Said {
  readonly say: string
  readonly [member: string]: unknown
}
