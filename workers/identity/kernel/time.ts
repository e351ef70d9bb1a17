/** Moments that users give and expect back to the microsecond. */
import { Fault } from '../../../schema/values/fault.ts'

const ISO = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,6})\d*)?(Z|[+-]\d{2}:?\d{2})?$/

/** ISO 8601, UTC where no zone is said -> microseconds. 400 otherwise. */
export function parseMicros(text: string): number {
  const match = ISO.exec(text)
  const zone = match?.[4] ?? 'Z'
  const seconds = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}${zone === 'Z' || zone.includes(':') ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`}`)
  if (!Number.isFinite(seconds)) throw new Fault('bad_request', 'Timestamp not in expected format. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.')
  return seconds * 1000 + Number((match?.[3] ?? '').padEnd(6, '0'))
}

/** 2026-01-02T03:04:05.000006, without a zone. */
export function showMicros(micros: number): string {
  const seconds = Math.floor(micros / 1_000_000)
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(micros - seconds * 1_000_000).padStart(6, '0')}`
}
