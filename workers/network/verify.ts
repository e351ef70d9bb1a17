/** Invariants of network in one project. */
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'

export function verifyNetwork(_deps: Deps): Violation[] {
  return []
}
