import { tell } from '../shell/tell.ts'
import { t } from '../text.ts'

/** Puts text on the clipboard and says so, or says why not. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    tell(t('action.copied'), 'ok')
  } catch {
    tell(t('action.copyFailed'), 'danger')
  }
}
