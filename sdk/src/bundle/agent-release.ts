import { type Static, Type } from 'typebox'

// Built into plain JSON for the agent: nothing here may be a function at run time.

const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Bytes = Type.Integer({ minimum: 1, maximum: 1_000_000_000 })
const Version = Type.String({ pattern: '^[0-9A-Za-z.+-]{1,64}$' })

/**
 * What is signed about a release of the agent (`release.json`): which files belong together under which version, each by its hash. `counter` rises with
 * every release, so that an older one can be told from a newer one whatever its version says.
 */
export const AgentReleaseStatement = Type.Object(
  {
    type: Type.Literal('fleetupdate-agent-release-1'),
    version: Version,
    counter: Type.Integer({ minimum: 1 }),
    oldestNode: Version,
    archive: Type.Object(
      { name: Type.String({ pattern: '^agent-[0-9a-f]{64}\\.tar\\.gz$' }), sha256: Hash, bytes: Bytes },
      { additionalProperties: false },
    ),
    installer: Type.Object(
      { name: Type.Literal('install-agent.sh'), sha256: Hash, bytes: Bytes },
      { additionalProperties: false },
    ),
    nodes: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: '^node-[a-z0-9]{1,16}-[0-9a-f]{64}\\.gz$' }),
          sha256: Hash,
          bytes: Bytes,
          arch: Type.String({ pattern: '^[a-z0-9]{1,16}$' }),
          version: Version,
          glibc: Version,
        },
        { additionalProperties: false },
      ),
      { maxItems: 16 },
    ),
  },
  { additionalProperties: false },
)
export type AgentReleaseStatement = Static<typeof AgentReleaseStatement>
