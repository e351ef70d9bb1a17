/**
 * The invariants of the whole cloud: each project's own (durable-objects/project/verify.ts), those between objects (cross.ts), and objects on their disks. Read only.
 * The cloud works on while it is looked at, so what one look finds between objects counts only if a second one finds it too.
 */
import { type Env, IDENTITY_NAME, REGION_OBJECT_NAME, systemTimers } from '../../../durable-objects/kernel/env.ts'
import type { Violation } from '../../../durable-objects/kernel/violation.ts'
import { imageAccount } from '../../image/bytes.ts'
import { type ObjectsReport, verifyObjects } from '../../object/verify.ts'
import type { HostRow } from '../hosts/store.ts'
import { type Look, crossViolations } from './cross.ts'

export interface VerifyReport {
  ok: boolean
  violations: Violation[]
  checked: { projects: number; hosts: number; items: number; objects: number }
  /** Found on hosts and asked for by nobody: reported, never destroyed. */
  orphans: { host: string; kind: string; id: string }[]
  /** Objects with fewer copies than their policy wants, though still enough to be safe. */
  degraded_objects: number
  /** Objects with copies where none belong: on their way home. */
  misplaced_objects: number
  /** The first of both, with figures. */
  degraded: ObjectsReport['details']
}

const BATCH = 6
/** Longer than a step between two objects takes. */
export const SECOND_LOOK_MS = 2_000
/** Objects whose replicas are counted, unless the caller asks for another number. */
export const OBJECTS_DEFAULT = 1_000

async function inBatches<T, R>(list: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const out: R[] = []
  for (let at = 0; at < list.length; at += BATCH) out.push(...(await Promise.all(list.slice(at, at + BATCH).map(work))))
  return out
}

/** Region last: what it gives out before a project knows of it is asked for before it is seen. */
async function lookAt(env: Env, projects: readonly string[], hosts: readonly HostRow[], now_ms: number): Promise<Look> {
  const pending = [
    { object: 'the region', steps: await env.REGION.getByName(REGION_OBJECT_NAME).pendingSteps() },
    { object: 'identity', steps: await env.IDENTITY.getByName(IDENTITY_NAME).pendingSteps() },
    ...(await inBatches(hosts, async (host) => ({ object: `host ${host.name}`, steps: await env.HOST.getByName(host.id).pendingSteps() }))),
  ]
  const holdings = await inBatches(projects, async (id) => [id, await env.PROJECT.getByName(id).holdings()] as const)
  const views = await inBatches(hosts, async (host) => ({ host, ...(await env.HOST.getByName(host.id).inspect()) }))
  return { projects: new Map(holdings), hosts: views, pending, now_ms, ledger: await env.REGION.getByName(REGION_OBJECT_NAME).ledger() }
}

const nameOf = (violation: Violation) => `${violation.invariant} ${violation.resource}`

export async function verifyCloud(env: Env, projects: readonly string[], hosts: readonly HostRow[], now_ms: number, objects_max: number = OBJECTS_DEFAULT): Promise<VerifyReport> {
  const look = async () => {
    const seen = await lookAt(env, projects, hosts, now_ms)
    const own = (await inBatches(projects, (id) => env.PROJECT.getByName(id).verify())).flat()
    return { seen, found: [...own, ...crossViolations(seen)] }
  }
  let { seen, found } = await look()
  if (found.length > 0) {
    await new Promise<void>((resolve) => (env.SIM?.timers ?? systemTimers).after(SECOND_LOOK_MS, resolve))
    const again = await look()
    const names = new Set(again.found.map(nameOf))
    seen = again.seen
    found = found.filter((violation) => names.has(nameOf(violation)))
  }
  const objects: ObjectsReport = await verifyObjects(env, [imageAccount(env), ...projects.map((id) => `AUTH_${id}`)], objects_max, now_ms)
  const violations = [...found, ...objects.violations]
  const orphans = seen.hosts.flatMap(({ host, observed }) => observed.filter((item) => item.orphan).map((item) => ({ host: host.name, kind: item.kind, id: item.id })))
  return {
    ok: violations.length === 0, violations, orphans, degraded_objects: objects.degraded, misplaced_objects: objects.misplaced, degraded: objects.details,
    checked: { projects: projects.length, hosts: hosts.length, items: seen.hosts.reduce((sum, view) => sum + view.desired.length, 0), objects: objects.checked },
  }
}
