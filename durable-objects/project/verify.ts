/** The invariants of one project (DESIGN, "What must always hold"), read only: used by `skyhook verify` and by the simulator after each step. */
import { computeHoldings, verifyCompute } from '../../workers/compute/verify.ts'
import { imageHoldings, verifyImage } from '../../workers/image/verify.ts'
import { networkHoldings, verifyNetwork } from '../../workers/network/verify.ts'
import { verifyVolume, volumeHoldings } from '../../workers/volume/verify.ts'
import type { Deps } from '../kernel/deps.ts'
import { type Violation, overdueSteps } from '../kernel/violation.ts'
import { type Holdings, mergeHoldings } from './holdings.ts'

export type { Violation }

export function verifyProject(deps: Deps): Violation[] {
  return [
    ...verifyCompute(deps),
    ...verifyNetwork(deps),
    ...verifyVolume(deps),
    ...verifyImage(deps),
    ...verifyChanges(deps),
    ...overdueSteps(deps.outbox.pending(), deps.clock.now_ms(), deps.name, `project ${deps.name}`),
  ]
}

/** The change log has every number once, and says of each change which request made it: events, history and audit are read from it. */
function verifyChanges(deps: Deps): Violation[] {
  const [log] = deps.storage.sql.exec("SELECT COUNT(*) AS count, MIN(seq) AS first, MAX(seq) AS last, SUM(request_id = '') AS nameless FROM _changes").toArray()
  const count = Number(log?.count ?? 0)
  if (count === 0) return []
  const say = (message: string): Violation => ({ invariant: 'change-log-whole', project_id: deps.name, resource: 'change log', message })
  const missing = Number(log?.last) - Number(log?.first) + 1 - count
  return [...(missing > 0 ? [say(`${missing} changes between ${log?.first} and ${log?.last} are missing`)] : []), ...(Number(log?.nameless) > 0 ? [say(`${log?.nameless} changes belong to no request`)] : [])]
}

export const holdingsOf = (deps: Deps): Holdings => mergeHoldings([computeHoldings(deps), networkHoldings(deps), volumeHoldings(deps), imageHoldings(deps)])
