import type { BlockList } from 'node:net'

/** What the server was told at start. `auth/` and `main.ts` read it; nothing else looks at the environment. */
export interface ServerConfig {
  readonly host: string
  readonly port: number
  /** Absolute. */
  readonly dataDir: string
  readonly masterKeyFile: string
  /** Enrolment secret; undefined: agents enrol by token alone. */
  readonly serverPsk: string | undefined
  /** Every enrolment waits until an admin approves. */
  readonly approveAllEnrolments: boolean
  /** 0: agents keep their keys. */
  readonly keyRotationDays: number
  readonly uiUser: string
  readonly uiPassword: string | undefined
  readonly uiPasswordHash: string | undefined
  readonly jwtSecret: string | undefined
  /** Addresses people reach the server by, each with the path a proxy gives it; empty: whatever the Host header says. */
  readonly publicUrls: readonly URL[]
  /** undefined: plain HTTP. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string } | undefined
  /** Whose X-Forwarded-For counts. */
  readonly trustedProxies?: BlockList | undefined
  readonly corsOrigins: readonly string[]
  readonly allowedHosts: readonly string[]
  /** How long commands that ended, and used-up tokens, are kept; default 90 days. */
  readonly keepMs?: number
  /** Folders whose sub-folders are plugins. */
  readonly pluginDirs: readonly string[]
  /** Folders whose sub-folders are the executors that come with the server; only their manifests are read. */
  readonly executorDirs?: readonly string[]
  /** Folder of the agent's release; undefined: the one beside the program, if any. */
  readonly agentReleaseDir?: string | undefined
  /** Folder of the built dashboard. */
  readonly dashboardDir: string | undefined
  /** Sentences for the operator, to be printed at the start: old settings, weak secrets. */
  readonly notices: readonly string[]
}
