/** One JSON line per event on stderr; secrets never get here because events name their fields one by one. */
export type Log = (event: string, fields?: Record<string, unknown>) => void

export const stderrLog: Log = (event, fields = {}) => {
  process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), event, ...fields })}\n`)
}

export const silentLog: Log = () => {}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
