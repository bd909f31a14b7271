import { createErrors } from '@fleetupdate/sdk'

/** Every error of this plugin. */
export const catalogue = {
  FLT_COMMAND_NOT_FOUND: { status: 404, message: 'No command has the id "{id}".' },
  FLT_OUTPUT_OFFSET: {
    status: 400,
    message: 'The offset "{value}" is not a whole number of bytes. Send the last id you received, or 0.',
  },
  FLT_OUTPUT_GAP: {
    status: 409,
    message: 'Output of {id} is stored up to {end}, and a piece starts at {offset}. Send from {end} on.',
  },
  FLT_OUTPUT_MISMATCH: {
    status: 409,
    message: 'Output of {id} at {offset} does not continue what is stored. It is not the same text.',
  },
} as const

export const outputError = createErrors(catalogue)
