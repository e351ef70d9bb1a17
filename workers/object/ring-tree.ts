/** Failure domains of a ring as a tree (region, zone, host, device), and how many replicas belong where. Pure. */
import type { RingDevice } from './ring.ts'

/** A failure domain, or at the bottom a device. */
export interface Node {
  name: string
  weight: number
  devices: number
  children: Node[]
  byName: Map<string, Node>
  /** Replicas of every partition that should be here, fractional. */
  target: number
  /** Most replicas of one partition that may be here before it counts as crowded. */
  limit: number
  /** Replicas here of the partition that is looked at. */
  count: number
  /** Of the device below it that lacks most: partitions wanted and not there. At a device its own. */
  missing: number
  device: RingDevice | null
  /** From the widest domain down to this device. */
  path: Node[]
}

export const newNode = (name: string): Node => ({ name, weight: 0, devices: 0, children: [], byName: new Map(), target: 0, limit: 1, count: 0, missing: 0, device: null, path: [] })

/** Kinds of domains, the device itself among them. */
export const TIERS = 4
/** Names of a device's failure domains, widest first. */
const tiersOf = (device: RingDevice): string[] => [`r${device.region}`, `z${device.zone}`, `h${device.host_id}`, `#${device.id}`]

export function treeOf(devices: readonly RingDevice[]): { root: Node; leaves: Map<number, Node> } {
  const root = newNode('')
  const leaves = new Map<number, Node>()
  for (const device of devices) {
    let node = root
    const path: Node[] = []
    for (const name of ['', ...tiersOf(device)]) {
      if (name !== '') {
        let child = node.byName.get(name)
        if (child === undefined) {
          child = newNode(name)
          node.byName.set(name, child)
          node.children.push(child)
        }
        node = child
        path.push(node)
      }
      node.weight += device.weight
      node.devices++
    }
    node.device = device
    node.path = path
    leaves.set(device.id, node)
  }
  return { root, leaves }
}

/** Shares `total` by `weights`, none above its cap; what a full one can't take goes to the others. */
export function share(total: number, weights: number[], caps: number[]): number[] {
  const result = weights.map(() => 0)
  let open = weights.map((weight, at) => ({ at, weight })).filter(({ weight }) => weight > 0)
  let rest = Math.min(total, caps.reduce((sum, cap) => sum + cap, 0))
  while (rest > 1e-9 && open.length > 0) {
    const sum = open.reduce((all, { weight }) => all + weight, 0)
    const full = open.filter(({ at, weight }) => (rest * weight) / sum >= (caps[at] ?? 0) - 1e-9)
    if (full.length === 0) {
      for (const { at, weight } of open) result[at] = (rest * weight) / sum
      break
    }
    for (const { at } of full) {
      result[at] = caps[at] ?? 0
      rest -= caps[at] ?? 0
    }
    open = open.filter(({ at }) => !full.some((one) => one.at === at))
  }
  return result
}

/** Each node's replicas: by weight; where that would crowd a failure domain, others take more than their weight, as far as overload allows. */
export function setTargets(node: Node, replicas: number, overload: number): void {
  node.target = replicas
  node.limit = Math.max(1, Math.ceil(replicas - 1e-9))
  const { children } = node
  if (children.length === 0) return
  const caps = children.map((child) => child.devices)
  const weighted = share(replicas, children.map((child) => child.weight), caps)
  const apart = share(replicas, children.map((child) => (child.weight > 0 ? 1 : 0)), caps).map((even) => Math.max(1, Math.ceil(even - 1e-9)))
  const excess = children.map((_, at) => Math.max(0, (weighted[at] ?? 0) - (apart[at] ?? 0)))
  const room = children.map((_, at) => Math.max(0, Math.min((apart[at] ?? 0) - (weighted[at] ?? 0), (weighted[at] ?? 0) * overload)))
  const sum = (numbers: number[]) => numbers.reduce((all, one) => all + one, 0)
  const [over, free] = [sum(excess), sum(room)]
  const given = Math.min(over, free)
  for (const [at, child] of children.entries()) setTargets(child, (weighted[at] ?? 0) - (over === 0 ? 0 : (given * (excess[at] ?? 0)) / over) + (free === 0 ? 0 : (given * (room[at] ?? 0)) / free), overload)
}
