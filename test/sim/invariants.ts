/** What must always hold (DESIGN): checked after each step on the objects and on the hosts' disks; and what must hold once everything has healed. */
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import type { PendingStep } from '../../durable-objects/kernel/outbox.ts'
import type { HostRow } from '../../workers/agents/hosts/store.ts'
import { type Look, crossViolations } from '../../workers/agents/verify/cross.ts'
import { type Model, type ThingKind, pathOf } from './operations.ts'
import type { SimCloud } from './simcloud.ts'

/** Steps due later than this are watches. */
const LATER_MS = 20_000

/** Versions of projects that were found whole: a look at one costs more than all else of a step. */
const verified = new WeakMap<SimCloud, Map<string, number>>()

/** Safety: never, not even for a moment. */
export function safety(sim: SimCloud): Violation[] {
  const out: Violation[] = []
  const runs = new Map<string, string[]>()
  const attached = new Map<string, string[]>()
  for (const host of sim.hosts) {
    for (const [id, machine] of host.disk.hypervisor) {
      if (machine.state.power !== 'running') continue
      runs.set(id, [...(runs.get(id) ?? []), host.name])
      for (const disk of machine.state.disks) {
        if (disk.id === 'root') continue
        attached.set(disk.id, [...(attached.get(disk.id) ?? []), id])
        if (disk.serial !== disk.id) out.push({ invariant: 'volume-serial', project_id: null, resource: `volume ${disk.id}`, message: `server ${id} sees it with serial ${disk.serial}` })
      }
    }
  }
  for (const [id, hosts] of runs) if (hosts.length > 1) out.push({ invariant: 'server-on-one-host', project_id: null, resource: `server ${id}`, message: `it runs on ${hosts.join(' and ')}` })
  for (const [id, servers] of attached) if (servers.length > 1) out.push({ invariant: 'volume-one-attachment', project_id: null, resource: `volume ${id}`, message: `it is in ${servers.join(' and ')}` })
  const seen = verified.get(sim) ?? new Map<string, number>()
  verified.set(sim, seen)
  for (const { kind, id } of sim.cluster.objects()) {
    if (kind !== 'PROJECT') continue
    const version = sim.cluster.version(kind, id)
    if (seen.get(id) === version) continue
    out.push(...(sim.cluster.instance('PROJECT', id).verify() as Violation[]))
    seen.set(id, version)
  }
  return out
}

/** Nothing left to do: every outbox empty but for what is due much later, every agent up and idle, nothing on its way. */
export function quiet(sim: SimCloud): boolean {
  if (!sim.hosts.every((host) => host.agent?.up && host.agent.idle)) return false
  const now = sim.world.clock.now_ms()
  for (const { kind, id } of sim.cluster.objects()) {
    if ((sim.cluster.instance(kind, id).pendingSteps() as PendingStep[]).some((step) => !isLater(step, now))) return false
  }
  const look = lookAt(sim)
  if (leaving(look).length > 0) return false
  if ([...look.projects.values()].some((holdings) => holdings.underway.length > 0 || holdings.items.some((item) => item.busy))) return false
  return crossViolations(look).length === 0
}

/** What hosts are to let go of and have not: an agent whose driver failed tries again. */
export const leaving = (look: Look): string[] => look.hosts.flatMap(({ host, desired }) => desired.filter((item) => item.state === 'absent').map((item) => `${item.kind} ${item.id} on ${host.name}`))

/** A watch that ends a wait, should nothing else: not work that is left. */
export const isLater = (step: PendingStep, now_ms: number): boolean => step.attempts === 0 && step.due_ms > now_ms + LATER_MS

export function lookAt(sim: SimCloud): Look {
  const { cluster } = sim
  const region = cluster.instance('REGION', 'region')
  const hosts = (region.system('sim').hosts.list() as HostRow[]).map((host) => ({ host, ...cluster.instance('HOST', host.id).inspect() }))
  const projects = cluster.objects().filter(({ kind }) => kind === 'PROJECT').map(({ id }) => [id, cluster.instance('PROJECT', id).holdings()] as const)
  const pending = cluster.objects().filter(({ kind }) => kind === 'REGION' || kind === 'IDENTITY' || kind === 'HOST').map(({ kind, id }) => ({ object: `${kind} ${id}`, steps: cluster.instance(kind, id).pendingSteps() as PendingStep[] }))
  return { projects: new Map(projects), hosts, ledger: region.ledger(), pending, now_ms: sim.world.clock.now_ms() }
}

export const converged = (sim: SimCloud): Violation[] => crossViolations(lookAt(sim))

/** Statuses in which nothing is under way. */
const SETTLED: Partial<Record<ThingKind, string[]>> = {
  server: ['ACTIVE', 'SHUTOFF', 'PAUSED', 'SUSPENDED', 'ERROR', 'VERIFY_RESIZE', 'SHELVED', 'SHELVED_OFFLOADED'],
  volume: ['available', 'in-use', 'reserved', 'error', 'error_deleting', 'error_extending'],
  snapshot: ['available', 'error', 'error_deleting'],
  backup: ['available', 'error', 'error_deleting'],
  image: ['active', 'queued'],
}

/** After healing: acknowledged things are there and settled, deleted ones gone, hosts run exactly what the tenants have, objects read right. */
export async function afterHealing(sim: SimCloud, model: Model): Promise<Violation[]> {
  const out = [...safety(sim), ...converged(sim)]
  for (const thing of model.things.values()) {
    const resource = `${thing.kind} ${thing.id}`
    const say = (invariant: string, message: string) => out.push({ invariant, project_id: thing.tenant, resource, message })
    const answer = await sim.finish(sim.call(thing.tenant, 'GET', pathOf(thing)))
    const status = (answer.body?.[thing.kind]?.status ?? answer.body?.status) as string | undefined
    if (thing.deleted) {
      if (answer.status !== 404) say('acknowledged-delete', `a deleted one is ${status ?? answer.status}`)
    } else if (answer.status === 404) {
      if (!thing.unsure) say('acknowledged-create', 'an acknowledged one is gone')
    } else if (answer.status !== 200) say('acknowledged-create', `it answers ${answer.status}`)
    else if (SETTLED[thing.kind] !== undefined && !SETTLED[thing.kind]?.includes(status ?? '')) say('no-stuck-state', `it is ${status} after healing`)
  }
  out.push(...(await leftovers(sim, model)))
  for (const [path, { tenant, writes }] of model.objects) {
    const answer = await sim.finish(sim.call(tenant, 'GET', path))
    const content = answer.status === 404 ? null : answer.text
    if (answer.status !== 404 && answer.status !== 200) out.push({ invariant: 'object-readable', project_id: tenant, resource: path, message: `it answers ${answer.status}` })
    else if (!writes.some((write) => write.content === content)) out.push({ invariant: 'object-readable', project_id: tenant, resource: path, message: `it reads '${content}', written was one of ${JSON.stringify(writes)}` })
  }
  return out
}

async function leftovers(sim: SimCloud, model: Model): Promise<Violation[]> {
  const out: Violation[] = []
  for (const host of sim.hosts) {
    for (const [kind, ids] of [['server', host.disk.hypervisor.keys()], ['volume', host.disk.volume.volumes.keys()]] as const) {
      for (const id of ids) {
        const thing = model.things.get(id)
        if (thing?.deleted) out.push({ invariant: 'nothing-left-behind', project_id: thing.tenant, resource: `${kind} ${id}`, message: `it was deleted and is still on ${host.name}` })
      }
    }
  }
  return out
}
