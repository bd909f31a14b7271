const escapeCode = 0x1b
const bell = 0x07

type Mode = 'text' | 'escape' | 'sequence' | 'string' | 'stringEscape'

/**
 * Makes a filter for output of strangers, fed piece by piece: colours, styles, carriage returns and "erase line" stay; titles,
 * links, clipboard access, cursor movement, resets and every other control sequence are dropped, also when cut in two.
 */
export function createControlFilter(): (text: string) => string {
  let mode: Mode = 'text'
  let sequence = ''
  return (text) => {
    let kept = ''
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i)
      const char = text.charAt(i)
      if (mode === 'text') {
        if (code === escapeCode) mode = 'escape'
        else if (code === 0x9b) [mode, sequence] = ['sequence', '']
        else if (startsString8(code)) mode = 'string'
        else if (isShown(code)) kept += char
      } else if (mode === 'escape') {
        if (char === '[') [mode, sequence] = ['sequence', '']
        else if (']PX^_'.includes(char)) mode = 'string'
        else if (code !== escapeCode) mode = code >= 0x20 && code <= 0x2f ? 'escape' : 'text'
      } else if (mode === 'sequence') {
        if (code >= 0x40 && code <= 0x7e) {
          if ((char === 'm' || char === 'K') && /^[\d;:]*$/.test(sequence))
            kept += `\u001b[${sequence}${char}`
          mode = 'text'
        } else if (code === escapeCode) mode = 'escape'
        else if (code < 0x20 || sequence.length > 64) mode = 'text'
        else sequence += char
      } else if (mode === 'stringEscape') {
        mode = char === '\\' ? 'text' : 'string'
      } else if (code === bell || code === 0x9c) mode = 'text'
      else if (code === escapeCode) mode = 'stringEscape'
    }
    return kept
  }
}

/** The eight-bit starts of DCS, SOS, OSC, PM and APC. */
function startsString8(code: number): boolean {
  return code === 0x90 || code === 0x98 || code === 0x9d || code === 0x9e || code === 0x9f
}

/** Tab, line feed, carriage return and what is no control character; not the characters that reverse the reading direction. */
function isShown(code: number): boolean {
  if (code < 0x20) return code === 0x09 || code === 0x0a || code === 0x0d
  if (code >= 0x7f && code <= 0x9f) return false
  return !(code >= 0x202a && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069)
}
