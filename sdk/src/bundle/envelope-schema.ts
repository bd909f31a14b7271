import { type Static, Type } from 'typebox'

/** A DSSE envelope with one Ed25519 signature over its payload. */
export const Envelope = Type.Object(
  {
    payloadType: Type.Literal('application/vnd.fleetupdate.bundle+json'),
    /** Base64. */
    payload: Type.String(),
    signatures: Type.Array(
      Type.Object({ keyid: Type.String(), sig: Type.String() }, { additionalProperties: false }),
      { minItems: 1, maxItems: 1 },
    ),
  },
  { additionalProperties: false },
)
export type Envelope = Static<typeof Envelope>
