/** Small readings of text that several resources share. */
export const TRUE_TEXTS: ReadonlySet<string> = new Set(['true', '1', 't', 'yes', 'y', 'on'])
export const FALSE_TEXTS: ReadonlySet<string> = new Set(['false', '0', 'f', 'no', 'n', 'off'])

/** A path parameter as its owner named it. */
export function decoded(parameter: string | undefined): string {
  try {
    return decodeURIComponent(parameter ?? '')
  } catch {
    return parameter ?? ''
  }
}
