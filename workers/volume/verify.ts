/** Invariants of volume in one project. */
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'

export function verifyVolume(_deps: Deps): Violation[] {
  return []
}
