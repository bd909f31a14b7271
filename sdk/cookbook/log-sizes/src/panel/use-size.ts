import { useText } from '@fleetupdate/sdk/panel'

/** Writes a size in the language of the person. What an agent reported is read with care: anything else is "not reported". */
export function useSize(): (bytes: unknown, complete?: unknown) => string {
  const { t, number } = useText()
  return (bytes, complete = true) => {
    if (typeof bytes !== 'number') return t('unknown')
    const size = number(bytes / 1e6, { maximumFractionDigits: 1 })
    return t(complete === true ? 'size' : 'atLeast', { size })
  }
}
