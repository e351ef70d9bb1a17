/** The invariants of one project (DESIGN, "What must always hold"), read only: used by `skyhook verify` and by the simulator after each step. */
import { verifyCompute } from '../../workers/compute/verify.ts'
import { verifyNetwork } from '../../workers/network/verify.ts'
import { verifyVolume } from '../../workers/volume/verify.ts'
import type { Deps } from '../kernel/deps.ts'
import type { Violation } from '../kernel/violation.ts'

export type { Violation }

export function verifyProject(deps: Deps): Violation[] {
  const now = deps.clock.now_ms()
  const overdue = deps.outbox.pending().filter((entry) => entry.deadline_ms + OVERDUE_GRACE_MS < now)
  return [
    ...verifyCompute(deps),
    ...verifyNetwork(deps),
    ...verifyVolume(deps),
    ...overdue.map((entry) => ({ invariant: 'no-overdue-state', project_id: deps.name, resource: `${entry.task} ${entry.key}`, message: `outbox step is ${Math.round((now - entry.deadline_ms) / 1000)} s past its deadline: ${entry.error ?? 'not tried'}` })),
  ]
}

export const OVERDUE_GRACE_MS = 60_000
