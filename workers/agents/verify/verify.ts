/**
 * The invariants of the whole cloud: each project's own (durable-objects/project/verify.ts), and those that hold between objects: a server on at most one host,
 * desired and actual agree on hosts that are up, allocations belong to something. Read only.
 */
import { type Env, REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import type { Violation } from '../../../durable-objects/kernel/violation.ts'
import type { DesiredItem } from '../../../schema/agent/desired.ts'
import type { ObservedItem } from '../../../schema/agent/observed.ts'
import type { HostRow } from '../hosts/store.ts'

export interface HostView {
  host: HostRow
  desired: DesiredItem[]
  observed: ObservedItem[]
}

export interface VerifyReport {
  ok: boolean
  violations: Violation[]
  checked: { projects: number; hosts: number; items: number }
  /** Found on hosts and asked for by nobody: reported, never destroyed. */
  orphans: { host: string; kind: string; id: string }[]
}

const BATCH = 6

/** Desired items that a host is still expected to be working on are not violations for this long. */
export function hostViolations(views: readonly HostView[]): Violation[] {
  const out: Violation[] = []
  const homes = new Map<string, string[]>()
  for (const { host, desired, observed } of views) {
    const seen = new Map(observed.map((item) => [`${item.kind}/${item.id}`, item]))
    for (const item of desired) {
      const actual = seen.get(`${item.kind}/${item.id}`)
      if (item.kind === 'server' && item.state === 'present') homes.set(item.id, [...(homes.get(item.id) ?? []), host.name])
      if (!host.up) continue
      const resource = `${item.kind} ${item.id}`
      if (actual === undefined || actual.generation < item.generation || actual.status === 'working') out.push({ invariant: 'host-converged', project_id: item.project_id, resource, message: `host ${host.name} has not reached generation ${item.generation} (it is at ${actual?.generation ?? 0})` })
      else if (item.state === 'present' && actual.status === 'gone') out.push({ invariant: 'host-converged', project_id: item.project_id, resource, message: `host ${host.name} has lost it` })
    }
  }
  for (const [id, hosts] of homes) if (hosts.length > 1) out.push({ invariant: 'server-on-one-host', project_id: null, resource: `server ${id}`, message: `it is wanted on ${hosts.join(' and ')}` })
  return out
}

export async function verifyCloud(env: Env, projects: readonly string[], hosts: readonly HostRow[], requestId: string, _now_ms: number): Promise<VerifyReport> {
  const violations: Violation[] = []
  const views: HostView[] = []
  for (let at = 0; at < projects.length; at += BATCH) {
    violations.push(...(await Promise.all(projects.slice(at, at + BATCH).map((id) => env.PROJECT.getByName(id).verify()))).flat())
  }
  for (let at = 0; at < hosts.length; at += BATCH) {
    views.push(...(await Promise.all(hosts.slice(at, at + BATCH).map(async (host) => ({ host, ...(await env.HOST.getByName(host.id).inspect()) })))))
  }
  violations.push(...hostViolations(views))
  violations.push(...(await env.REGION.getByName(REGION_OBJECT_NAME).system(requestId).compute.verify()))
  const orphans = views.flatMap(({ host, observed }) => observed.filter((item) => item.orphan).map((item) => ({ host: host.name, kind: item.kind, id: item.id })))
  return { ok: violations.length === 0, violations, orphans, checked: { projects: projects.length, hosts: hosts.length, items: views.reduce((sum, view) => sum + view.desired.length, 0) } }
}
