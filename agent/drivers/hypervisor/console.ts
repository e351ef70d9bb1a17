/** The tail of a console log, as Nova cuts it: the last lines, and never more than 1 MiB. */
export const CONSOLE_BYTES_MAX = 1024 * 1024

export function tailLines(text: string, lines: number | null): string {
  const end = text.length > CONSOLE_BYTES_MAX ? text.slice(-CONSOLE_BYTES_MAX) : text
  if (lines === null) return end
  if (lines <= 0) return ''
  return end.split('\n').slice(-lines).join('\n')
}
