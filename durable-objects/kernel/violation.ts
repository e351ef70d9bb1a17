/** What `skyhook verify` and the simulator say of a broken invariant, and the one that every object can break: a step past its deadline. */
import type { PendingStep } from './outbox.ts'

/** One broken invariant, said so that an operator can act on it. */
export interface Violation {
  /** 'server-on-one-host', 'volume-one-attachment', 'quota-is-sum', 'address-unique', 'reference-exists', 'no-overdue-state', 'host-converged', 'power-kept', 'object-readable', ... */
  invariant: string
  project_id: string | null
  /** What it is about: 'server 1234', 'volume 5678'. */
  resource: string
  message: string
}

/** How far past its deadline a step may be before it counts: alarms have their own delay. */
const OVERDUE_GRACE_MS = 60_000

export const overdueSteps = (steps: readonly PendingStep[], now_ms: number, project_id: string | null, object: string): Violation[] =>
  steps
    .filter((step) => step.deadline_ms + OVERDUE_GRACE_MS < now_ms)
    .map((step) => ({ invariant: 'no-overdue-state', project_id, resource: `${step.task} ${step.key} of ${object}`, message: `outbox step is ${Math.round((now_ms - step.deadline_ms) / 1000)} s past its deadline: ${step.error ?? 'not tried'}` }))
