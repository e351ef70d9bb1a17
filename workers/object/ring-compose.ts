/**
 * A ring composed of several: each component has regions of its own and a number of replicas that always lie there, whatever the weights elsewhere (swift/common/ring/
 * composite_builder.py). They are balanced one after another, each by itself, and agree on min_part_hours: a partition that one of them has moved is moved by no other one. Pure.
 */
import type { Random } from '../../schema/values/random.ts'
import { Fault } from '../../schema/values/fault.ts'
import { type Assignment, type RebalanceInput, type RebalanceResult, type RingDevice, rebalance, UNASSIGNED } from './ring.ts'
import { balanceReport, type Dispersion, dispersionReport } from './ring-report.ts'

export interface Component {
  name: string
  regions: number[]
  replicas: number
}

export const COMPONENTS_MAX = 16

/** Refuses what is no composition: no region may be in two of them. */
export function checkComponents(components: readonly Component[]): void {
  const bad = (why: string) => new Fault('bad_request', `The rings can't be composed: ${why}.`)
  if (components.length < 2 || components.length > COMPONENTS_MAX) throw bad(`2 to ${COMPONENTS_MAX} components are needed`)
  const [names, regions] = [new Set<string>(), new Map<number, string>()]
  for (const { name, regions: own, replicas } of components) {
    if (names.has(name)) throw bad(`there are two components ${name}`)
    names.add(name)
    if (!Number.isInteger(replicas) || replicas < 1) throw bad(`${name} needs a whole number of replicas, and at least one`)
    if (own.length === 0) throw bad(`${name} has no region`)
    for (const region of own) {
      if (regions.has(region)) throw bad(`region ${region} is in ${regions.get(region)} and in ${name}`)
      regions.set(region, name)
    }
  }
}

export const componentReplicas = (components: readonly Component[]): number => components.reduce((sum, { replicas }) => sum + replicas, 0)

const devicesOf = ({ regions }: Component, devices: readonly RingDevice[]): RingDevice[] => devices.filter((device) => regions.includes(device.region))

/** What a component's devices hold already, whichever row it is in: what is right stays where it is. */
function rowsOf(component: Component, devices: readonly RingDevice[], previous: Assignment, parts: number): Assignment {
  const own = new Set(devices.map((device) => device.id))
  const rows = Array.from({ length: component.replicas }, () => new Uint16Array(parts).fill(UNASSIGNED))
  for (let part = 0; part < parts; part++) {
    let at = 0
    for (const row of previous) {
      const id = row[part] ?? UNASSIGNED
      const target = rows[at]
      if (target === undefined) break
      if (!own.has(id)) continue
      target[part] = id
      at++
    }
  }
  return rows
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const order = [...list]
  for (let at = order.length - 1; at > 0; at--) {
    const other = random.below(at + 1)
    ;[order[at], order[other]] = [order[other] as T, order[at] as T]
  }
  return order
}

/** One row of the whole for each replica of each component, in their order; a component with too few devices leaves rows to nobody. */
export function rebalanceComposed(input: Omit<RebalanceInput, 'replicas'>, components: readonly Component[]): RebalanceResult {
  const parts = 2 ** input.part_power
  const done = new Map<Component, Assignment>()
  let moved_h = input.moved_h
  let moved = 0
  // In another order each time, so that none always has the first choice of what may move.
  for (const component of shuffled(components, input.random)) {
    const devices = devicesOf(component, input.devices)
    const held = rowsOf(component, devices, input.previous ?? [], parts)
    const isFresh = held.every((row) => row.every((id) => id === UNASSIGNED))
    const { previous: _, moved_h: __, ...rest } = input
    const result = rebalance({ ...rest, devices, replicas: component.replicas, ...(isFresh ? {} : { previous: held }), ...(moved_h === undefined ? {} : { moved_h }) })
    if (result.assignment.length > 0) moved_h = result.moved_h
    moved += result.moved
    done.set(component, [...result.assignment, ...Array.from({ length: component.replicas - result.assignment.length }, () => new Uint16Array(parts).fill(UNASSIGNED))])
  }
  const assignment = components.flatMap((component) => done.get(component) ?? [])
  return { assignment: assignment.some((row) => row.some((id) => id !== UNASSIGNED)) ? assignment : [], moved_h: moved_h ?? new Uint32Array(parts), moved }
}

/** Balance and dispersion, of the whole or component by component. */
export function reportOf(assignment: Assignment, devices: RingDevice[], replicas: number, overload: number, components: readonly Component[] | null): { balance: ReturnType<typeof balanceReport>; dispersion: Dispersion } {
  if (components === null) return { balance: balanceReport(assignment, devices), dispersion: dispersionReport(assignment, devices, replicas, overload) }
  const dispersion: Dispersion = { crowded: 0, region: 0, zone: 0, host: 0, short: 0 }
  const balance = new Map(devices.map((device) => [device.id, { id: device.id, parts: 0, wanted: 0 }]))
  let from = 0
  for (const component of components) {
    const rows = assignment.slice(from, from + component.replicas)
    const own = devicesOf(component, devices)
    from += component.replicas
    for (const one of balanceReport(rows, own)) balance.set(one.id, one)
    for (const [kind, count] of Object.entries(dispersionReport(rows, own, component.replicas, overload)) as [keyof Dispersion, number][]) dispersion[kind] += count
  }
  return { balance: devices.map(({ id }) => balance.get(id) ?? { id, parts: 0, wanted: 0 }), dispersion }
}
