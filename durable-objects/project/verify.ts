/** The invariants of one project (DESIGN, "What must always hold"), read only: used by `skyhook verify` and by the simulator after each step. */
import { computeHoldings, verifyCompute } from '../../workers/compute/verify.ts'
import { imageHoldings, verifyImage } from '../../workers/image/verify.ts'
import { networkHoldings, verifyNetwork } from '../../workers/network/verify.ts'
import { verifyVolume, volumeHoldings } from '../../workers/volume/verify.ts'
import type { Deps } from '../kernel/deps.ts'
import type { Violation } from '../kernel/violation.ts'
import { type Holdings, mergeHoldings } from './holdings.ts'

export type { Violation }

export function verifyProject(deps: Deps): Violation[] {
  const now = deps.clock.now_ms()
  const overdue = deps.outbox.pending().filter((entry) => entry.deadline_ms + OVERDUE_GRACE_MS < now)
  return [
    ...verifyCompute(deps),
    ...verifyNetwork(deps),
    ...verifyVolume(deps),
    ...verifyImage(deps),
    ...overdue.map((entry) => ({ invariant: 'no-overdue-state', project_id: deps.name, resource: `${entry.task} ${entry.key}`, message: `outbox step is ${Math.round((now - entry.deadline_ms) / 1000)} s past its deadline: ${entry.error ?? 'not tried'}` })),
  ]
}

export const holdingsOf = (deps: Deps): Holdings => mergeHoldings([computeHoldings(deps), networkHoldings(deps), volumeHoldings(deps), imageHoldings(deps)])

export const OVERDUE_GRACE_MS = 60_000
