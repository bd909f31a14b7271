// The key that releases are signed with: Ed25519, as PEM, outside the repository.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import { root } from '../local/setup.mjs'

/** Reads the private key. Throws a sentence that says what to do where it is missing, inside the repository, or of another kind. */
export function readSigningKey(file) {
  if (!file)
    throw new Error(
      'A release must be signed. Name the key with --key FILE or FLEET_RELEASE_KEY; make one with: npm run release -- --new-key FILE',
    )
  refuseInside(file)
  if (!existsSync(file))
    throw new Error(`There is no key at ${file}. Make one with: npm run release -- --new-key ${file}`)
  const key = createPrivateKey(readFileSync(file))
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`${file} is not an Ed25519 key.`)
  return key
}

/** The key of one checkout, for `npm start` alone: whoever runs it owns the server and this machine's agent anyway. */
export function localKey(file) {
  if (!existsSync(file)) writeKey(file)
  return createPrivateKey(readFileSync(file))
}

/** Makes a new key, readable by its owner alone; never replaces one. */
export function makeSigningKey(file) {
  refuseInside(file)
  return writeKey(file)
}

function writeKey(file) {
  const { privateKey } = generateKeyPairSync('ed25519')
  mkdirSync(dirname(resolve(file)), { recursive: true, mode: 0o700 })
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { flag: 'wx', mode: 0o600 })
  chmodSync(file, 0o600)
  return privateKey
}

/** The public key as agents pin it: SPKI in base64, one line. `openssl pkey -pubin` reads it between PEM marks. */
export function publicText(key) {
  return createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64')
}

/** Ed25519 over the bytes, in base64. */
export function signBytes(bytes, key) {
  return sign(null, bytes, key).toString('base64')
}

function refuseInside(file) {
  if (resolve(file).startsWith(root + sep))
    throw new Error(`${file} lies inside the repository. A release key must be kept elsewhere.`)
}
