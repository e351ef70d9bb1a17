/** The client's request that a call of a handler is made for: it follows the work by async context, so that handlers need not know of doors. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { DoorEvidence } from '../../schema/agent/door.ts'
import { EVIDENCE_HEADERS } from '../../schema/agent/door.ts'
import { Fault } from '../../schema/values/fault.ts'

const current = new AsyncLocalStorage<DoorEvidence>()

export const withEvidence = <T>(evidence: DoorEvidence, work: () => T): T => current.run(evidence, work)

/** For work that goes on after the handler has answered: it is for the same request. */
export const forThisRequest = (): (<T>(work: () => T) => T) => AsyncLocalStorage.snapshot()

/** Requests that may have their write's time from this door's clock (containers.ts), and whether one had. */
export const hasty = new WeakMap<DoorEvidence, { used: boolean }>()

/** How a request is passed on to the plane, where its handler finds that it is not one for a door. */
export const passes = new WeakMap<DoorEvidence, () => Promise<Response>>()

export function evidenceNow(): DoorEvidence {
  const found = current.getStore()
  if (found === undefined) throw new Fault('internal', 'work of a door without a request')
  return found
}

export function evidenceOf(method: string, path: string, headers: Headers): DoorEvidence {
  const kept: Record<string, string> = {}
  for (const name of EVIDENCE_HEADERS) {
    const value = headers.get(name)
    if (value !== null) kept[name] = value
  }
  return { method, path, headers: kept }
}
