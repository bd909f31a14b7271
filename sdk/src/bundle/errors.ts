import { createErrors } from '../errors/fleet-error.ts'

/** Why a bundle is refused; nothing of a refused bundle is ever stored or run. */
export const bundleCatalogue = {
  FLT_BUNDLE_ARCHIVE: {
    status: 400,
    message: 'This is not a sound plugin bundle: {problem}. Make it with: npx fleetupdate plugin pack',
  },
  FLT_BUNDLE_TOO_LARGE: { status: 413, message: 'The bundle is too large: {problem}. Leave data out of it.' },
  FLT_BUNDLE_SIGNATURE: {
    status: 400,
    message: 'The signature of the bundle is not right: {problem}. Take the file from its publisher again.',
  },
  FLT_BUNDLE_STATEMENT: {
    status: 400,
    message: 'What the bundle says about itself does not fit: {problem}. Its publisher must pack it again.',
  },
  FLT_BUNDLE_FILE: {
    status: 400,
    message:
      'The file {path} is not the one that was signed: {problem}. Take the bundle from its publisher again.',
  },
  FLT_BUNDLE_UNTRUSTED: { status: 403, message: 'The bundle {id} {version} is refused: {problem}.' },
} as const

/** Builds an error of the bundle catalogue. */
export const bundleError = createErrors(bundleCatalogue)
