/** Invariants of compute in one project. */
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'

export function verifyCompute(_deps: Deps): Violation[] {
  return []
}
