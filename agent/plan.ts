/**
 * Decides, purely: from what is wished for, what is there, and what was tried, the actions that are left, each with the actions
 * it must wait for. The reconciler only runs them. Removal needs an explicit `absent`: what nobody asked for is an orphan, and is
 * reported, never touched.
 */
import { type DesiredItem, KIND_ORDER, type Kind, type ServerSpec } from '../schema/agent/desired.ts'
import type { ObservedItem, PowerState } from '../schema/agent/observed.ts'
import type { MachineState } from './drivers/hypervisor/driver.ts'
import { keyOf } from './state.ts'

/** What the drivers found on the host. */
export interface Actual {
  networks: Set<string>
  ports: Set<string>
  routers: Set<string>
  volumes: Map<string, number>
  snapshots: Map<string, number>
  exports: Set<string>
  servers: Map<string, MachineState>
}

export const emptyActual = (): Actual => ({ networks: new Set(), ports: new Set(), routers: new Set(), volumes: new Map(), snapshots: new Map(), exports: new Set(), servers: new Map() })

/** What this process knows of its own work on one item. */
export interface Progress {
  /** Generation that was brought about; 0 before the first success. */
  generation: number
  /** Generation that the failures are about. */
  tried: number
  failures: number
  /** Not tried again before. */
  next_at_ms: number
  error: string | null
  /** The error is of a kind that waiting does not cure. */
  permanent: boolean
  /** Something it depends on changed: to be ensured again although its generation is done. */
  stale: boolean
}

export const newProgress = (): Progress => ({ generation: 0, tried: 0, failures: 0, next_at_ms: 0, error: null, permanent: false, stale: false })

export interface Action {
  op: 'ensure' | 'remove'
  kind: Kind
  id: string
  key: string
  generation: number
  /** Keys of actions of this plan that come first. */
  needs: string[]
  /** Why it cannot run at all now; null where only `needs` hold it. */
  blocked: string | null
  due_at_ms: number
}

export interface PlanInput {
  desired: Record<string, DesiredItem>
  actual: Actual
  progress: ReadonlyMap<string, Progress>
}

/** Failures of one generation after which the plane is told that it cannot be had (trying goes on, slowly). */
export const FAILURES_REPORTED = 4
const GIB = 1024 ** 3

const isKind = <K extends Kind>(item: DesiredItem, kind: K): item is DesiredItem<K> => item.kind === kind

export function isThere(kind: Kind, id: string, actual: Actual): boolean {
  switch (kind) {
    case 'network': return actual.networks.has(id)
    case 'port': return actual.ports.has(id)
    case 'router': return actual.routers.has(id)
    case 'volume': return actual.volumes.has(id)
    case 'snapshot': return actual.snapshots.has(id)
    case 'export': return actual.exports.has(id)
    case 'server': return actual.servers.has(id)
    default: return kind satisfies never
  }
}

const POWERED: Record<ServerSpec['power'], readonly PowerState[]> = { on: ['running'], off: ['shutdown', 'crashed', 'nostate'], paused: ['paused'], suspended: ['suspended'] }

/** A guest that shut itself down is as desired until the tenant's next wish, which is a newer generation than the machine has. */
export function powerAgrees(spec: ServerSpec, state: MachineState): boolean {
  return POWERED[spec.power].includes(state.power) || (state.guest_shutdown && state.power === 'shutdown')
}

function settled(item: DesiredItem, input: PlanInput): boolean {
  const progress = input.progress.get(keyOf(item.kind, item.id))
  if (!progress || progress.generation !== item.generation || progress.stale) return false
  const there = isThere(item.kind, item.id, input.actual)
  if (item.state === 'absent') return !there
  if (!there) return false
  if (isKind(item, 'volume')) return (input.actual.volumes.get(item.id) ?? 0) >= item.spec.size_gib * GIB
  if (isKind(item, 'server')) {
    const state = input.actual.servers.get(item.id)
    return state !== undefined && powerAgrees(item.spec, state)
  }
  return true
}

/** Keys that `item` needs to be in place before it is made. */
function foundations(item: DesiredItem): string[] {
  if (isKind(item, 'port')) return [keyOf('network', item.spec.network_id)]
  if (isKind(item, 'router')) {
    const networks = item.spec.interfaces.map((one) => one.network_id)
    if (item.spec.gateway) networks.push(item.spec.gateway.network_id)
    return [...new Set(networks)].map((id) => keyOf('network', id))
  }
  if (isKind(item, 'volume')) return item.spec.source && item.spec.source.type !== 'image' ? [keyOf(item.spec.source.type, item.spec.source.id)] : []
  if (isKind(item, 'snapshot')) return [keyOf('volume', item.spec.volume_id)]
  if (isKind(item, 'export')) return [keyOf('volume', item.spec.volume_id)]
  if (isKind(item, 'server')) {
    const volumes = item.spec.disks.flatMap(({ source }) => (source.type === 'volume' && source.connection.type === 'local' ? [keyOf('volume', source.connection.volume_id)] : []))
    return [...item.spec.nics.map((nic) => keyOf('port', nic.port_id)), ...volumes]
  }
  return []
}

function keyIsThere(key: string, actual: Actual): boolean {
  const slash = key.indexOf('/')
  return isThere(key.slice(0, slash) as Kind, key.slice(slash + 1), actual)
}

function holds(item: DesiredItem, need: string, actual: Actual): boolean {
  // A copy is whole once it is made: its source may go.
  if (item.kind === 'volume' || item.kind === 'snapshot') return isThere(item.kind, item.id, actual)
  const state = item.kind === 'server' ? actual.servers.get(item.id) : undefined
  return state !== undefined && (state.nics.some((nic) => keyOf('port', nic.port_id) === need) || state.disks.some((disk) => keyOf('volume', disk.id) === need))
}

/** For each thing that a present item rests on, the items that rest on it: as wished for, and as machines hold it now. */
interface Users {
  /** By key, users that are still wished for. */
  wished: Map<string, string[]>
  /** By key, users that are being removed, or machines that hold it in fact. */
  leaving: Map<string, string[]>
}

function usersOf(input: PlanInput): Users {
  const users: Users = { wished: new Map(), leaving: new Map() }
  const add = (map: Map<string, string[]>, key: string, user: string) => {
    const list = map.get(key)
    if (list) list.push(user)
    else map.set(key, [user])
  }
  for (const [key, item] of Object.entries(input.desired)) {
    // A volume made from another is whole once made: it does not hold its source.
    if (item.kind === 'volume') continue
    for (const foundation of foundations(item)) add(item.state === 'present' ? users.wished : users.leaving, foundation, key)
  }
  for (const state of input.actual.servers.values()) {
    const key = keyOf('server', state.id)
    for (const disk of state.disks) add(users.leaving, keyOf('volume', disk.id), key)
    for (const nic of state.nics) add(users.leaving, keyOf('port', nic.port_id), key)
  }
  return users
}

/** All that is left to do, foundations before what rests on them; removals in the reverse order. */
export function plan(input: PlanInput): Action[] {
  const open = new Map<string, DesiredItem>()
  for (const [key, item] of Object.entries(input.desired)) if (!settled(item, input)) open.set(key, item)
  if (open.size === 0) return []
  const users = usersOf(input)
  const actions: Action[] = []
  for (const [key, item] of open) {
    const progress = input.progress.get(key)
    const action: Action = {
      op: item.state === 'present' ? 'ensure' : 'remove', kind: item.kind, id: item.id, key, generation: item.generation, needs: [], blocked: null,
      due_at_ms: progress && progress.tried === item.generation ? progress.next_at_ms : 0,
    }
    if (action.op === 'ensure') {
      action.needs = foundations(item).filter((need) => open.get(need)?.state === 'present')
      // What a machine holds already it keeps, whatever became of the wish for it.
      const missing = foundations(item).filter((need) => !holds(item, need, input.actual))
      const removed = missing.find((need) => input.desired[need]?.state === 'absent')
      const unknown = missing.find((need) => input.desired[need] === undefined && !keyIsThere(need, input.actual))
      if (removed) action.blocked = `${removed} is being removed`
      else if (unknown) action.blocked = `${unknown} is not here yet`
    } else {
      const wished = users.wished.get(key)
      if (wished && wished.length > 0) action.blocked = `in use by ${wished[0]}`
      action.needs = [...new Set(users.leaving.get(key) ?? [])].filter((user) => open.has(user))
    }
    actions.push(action)
  }
  return actions.sort(byOrder)
}

const RANK = new Map(KIND_ORDER.map((kind, index) => [kind, index]))
const rank = (action: Action): number => (action.op === 'ensure' ? (RANK.get(action.kind) ?? 0) : -(RANK.get(action.kind) ?? 0) - 1)

/** Removals first (they free what others wait for), then by kind; by key within a kind, so that a plan is the same each time. */
function byOrder(a: Action, b: Action): number {
  return rank(a) - rank(b) || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
}

/** The actions that may start now: due, not blocked, not running, and nothing they wait for left. */
export function runnable(actions: readonly Action[], running: ReadonlySet<string>, now_ms: number): Action[] {
  const left = new Set(actions.map((action) => action.key))
  return actions.filter((action) => action.blocked === null && action.due_at_ms <= now_ms && !running.has(action.key) && action.needs.every((need) => !left.has(need) && !running.has(need)))
}

/** What the plane is told of one item. */
export function statusOf(item: DesiredItem, input: PlanInput, actions: ReadonlyMap<string, Action>): ObservedItem {
  const key = keyOf(item.kind, item.id)
  const report: ObservedItem = { kind: item.kind, id: item.id, generation: item.generation, status: 'working' }
  const progress = input.progress.get(key)
  const action = actions.get(key)
  const failed = (one: Progress | undefined, generation: number) => one !== undefined && one.tried === generation && one.failures > 0 && (one.permanent || one.failures >= FAILURES_REPORTED)
  const there = isThere(item.kind, item.id, input.actual)
  const machine = isKind(item, 'server') && item.state === 'present' ? input.actual.servers.get(item.id) : undefined
  // A machine that crashed is being started again: it is not as desired, and not for the plane to give up.
  const fallen = machine !== undefined && !powerAgrees((item as DesiredItem<'server'>).spec, machine)
  const done = progress !== undefined && progress.generation === item.generation && (item.state === 'present') === there && !fallen
  if (done && !failed(progress, item.generation)) report.status = item.state === 'present' ? 'ready' : 'gone'
  else if (failed(progress, item.generation)) report.status = 'failed'
  if (report.status === 'working' || report.status === 'failed') {
    if (progress && progress.tried === item.generation && progress.error) report.error = progress.error
    else if (action?.blocked) report.error = action.blocked
    for (const need of action?.needs ?? []) {
      const foundation = input.desired[need]
      const of = input.progress.get(need)
      if (!foundation || report.error || !of?.error || of.tried !== foundation.generation) continue
      report.error = `${need}: ${of.error}`
      if (failed(of, foundation.generation)) report.status = 'failed'
    }
  }
  measure(item, report, input.actual)
  return report
}

function measure(item: { kind: Kind; id: string }, report: ObservedItem, actual: Actual): void {
  const size = item.kind === 'volume' ? actual.volumes.get(item.id) : item.kind === 'snapshot' ? actual.snapshots.get(item.id) : undefined
  if (size !== undefined) report.size_bytes = size
  const state = item.kind === 'server' ? actual.servers.get(item.id) : undefined
  if (!state) return
  report.power = state.power
  report.disks = state.disks
}

/** A driver knows what is half there by the part of the id that names on the host keep. */
const SHORT_ID = 11

/** What is on the host and in nobody's wishes. */
export function orphans(input: PlanInput): ObservedItem[] {
  const { actual } = input
  const found: { kind: Kind; ids: Iterable<string> }[] = [
    { kind: 'network', ids: actual.networks }, { kind: 'port', ids: actual.ports }, { kind: 'router', ids: actual.routers }, { kind: 'volume', ids: actual.volumes.keys() },
    { kind: 'snapshot', ids: actual.snapshots.keys() }, { kind: 'export', ids: actual.exports }, { kind: 'server', ids: actual.servers.keys() },
  ]
  const result: ObservedItem[] = []
  const shorts = new Set(Object.values(input.desired).map((item) => keyOf(item.kind, item.id.slice(0, SHORT_ID))))
  for (const { kind, ids } of found) {
    for (const id of ids) {
      if (input.desired[keyOf(kind, id)] || (id.length === SHORT_ID && shorts.has(keyOf(kind, id)))) continue
      const report: ObservedItem = { kind, id, generation: 0, status: 'ready', orphan: true }
      measure({ kind, id }, report, actual)
      result.push(report)
    }
  }
  return result
}
