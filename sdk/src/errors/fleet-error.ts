/** One entry of an error catalogue: the HTTP status, and a sentence that tells the operator what to do. */
export interface ErrorEntry {
  readonly status: number
  /** `{name}` is replaced by the parameter of that name. */
  readonly message: string
}

export type ErrorCatalogue = Readonly<Record<`FLT_${string}`, ErrorEntry>>

/** The one error type that crosses a room's border. `code` is stable, `message` is for people, `details` for programs. */
export class FleetError extends Error {
  override readonly name = 'FleetError'
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    readonly details?: unknown,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }

  /** The shape every error answer has on the wire. */
  toJSON(): { code: string; message: string; details?: unknown } {
    return {
      code: this.code,
      message: this.message,
      ...(this.details === undefined ? {} : { details: this.details }),
    }
  }
}

export interface ErrorParameters {
  readonly [name: string]: string | number | undefined
}

/**
 * Makes the function that builds errors of one catalogue.
 *
 * @example
 * const error = createErrors({ FLT_PLUGIN_UNKNOWN: { status: 404, message: 'No plugin "{id}" is installed.' } })
 * throw error('FLT_PLUGIN_UNKNOWN', { id: 'reboot' })
 */
export function createErrors<const C extends ErrorCatalogue>(
  catalogue: C,
): (
  code: keyof C & string,
  parameters?: ErrorParameters,
  more?: { details?: unknown; cause?: unknown },
) => FleetError {
  return (code, parameters = {}, more = {}) => {
    const entry = catalogue[code] as ErrorEntry
    const message = entry.message.replace(/\{(\w+)\}/g, (_, name: string) =>
      String(parameters[name] ?? `{${name}}`),
    )
    return new FleetError(
      code,
      entry.status,
      message,
      more.details,
      more.cause === undefined ? undefined : { cause: more.cause },
    )
  }
}
