import { type Static, Type } from 'typebox'
import { Manifest } from '../contract/manifest.ts'

const closed = { additionalProperties: false }

/** What a publisher signs: which plugin this is, what it asks of a host, and the hash of every file. */
export const Statement = Type.Object(
  {
    type: Type.Literal('fleetupdate-bundle-1'),
    id: Type.String({ pattern: '^[a-z][a-z0-9]*(-[a-z0-9]+)*$', maxLength: 64 }),
    version: Type.String({ pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$', maxLength: 32 }),
    /** Grows with every release; a host takes none below the highest it has seen. */
    counter: Type.Integer({ minimum: 1 }),
    /** The publisher's raw Ed25519 public key, base64url. */
    publisher: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
    expiresAt: Type.String({ format: 'date-time' }),
    manifest: Manifest,
    files: Type.Array(
      Type.Object(
        {
          path: Type.String({ maxLength: 100 }),
          bytes: Type.Integer({ minimum: 0 }),
          sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
        },
        closed,
      ),
      { minItems: 1, maxItems: 500 },
    ),
  },
  closed,
)
export type Statement = Static<typeof Statement>
