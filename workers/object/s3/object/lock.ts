/** Object lock: whether a version may be removed. What locks it is kept with its row: a legal hold, and a retention with its mode. Pure. */
export interface Retention {
  mode: 'GOVERNANCE' | 'COMPLIANCE'
  until_ms: number
}

export type Extra = Record<string, string> | null

export const retentionOf = (extra: Extra): Retention | null => {
  const text = extra?.['s3-retention']
  return text === undefined ? null : (JSON.parse(text) as Retention)
}

export const isHeld = (extra: Extra): boolean => extra?.['s3-hold'] === 'ON'

/** `bypass`: the caller may pass over governance, and said so. Nothing passes over compliance and holds. */
export function isLocked(extra: Extra, now_ms: number, bypass: boolean): boolean {
  if (isHeld(extra)) return true
  const retention = retentionOf(extra)
  if (retention === null || retention.until_ms <= now_ms) return false
  return retention.mode === 'COMPLIANCE' || !bypass
}
