/**
 * The ring builder: which devices hold the replicas of each partition. Pure and seeded: the same input gives the same ring. A rebalance keeps what is
 * right and moves as little as the weights, the failure domains (region, zone, host) and min_part_hours ask for.
 */
import type { Random } from '../../schema/values/random.ts'

export interface RingDevice {
  id: number
  host_id: string
  device: string
  region: number
  zone: string
  weight: number
}

/** assignment[replica][partition] = device id. */
export type Assignment = Uint16Array[]
export const UNASSIGNED = 0xffff
export const PART_POWER_DEFAULT = 10
export const REPLICAS_DEFAULT = 3

export interface RebalanceInput {
  part_power: number
  replicas: number
  devices: RingDevice[]
  previous?: Assignment
  /** Hour of each partition's last move. */
  moved_h?: Uint32Array
  now_h: number
  min_part_hours: number
  /** How far above its weight a device may go so that replicas stay apart: 0.1 is 10%. */
  overload: number
  random: Random
}

export interface RebalanceResult {
  assignment: Assignment
  moved_h: Uint32Array
  /** Replicas that changed their device. */
  moved: number
}

/** Failure domains of a device, widest first. */
const tiersOf = (device: RingDevice): string[] => [`r${device.region}`, `r${device.region}/${device.zone}`, `r${device.region}/${device.zone}/${device.host_id}`, `#${device.id}`]

interface Node {
  name: string
  weight: number
  devices: number
  children: Map<string, Node>
  /** Replicas of every partition that should be here, fractional. */
  target: number
}

function treeOf(devices: RingDevice[]): Node {
  const root: Node = { name: '', weight: 0, devices: 0, children: new Map(), target: 0 }
  for (const device of devices) {
    let node = root
    node.weight += device.weight
    node.devices++
    for (const name of tiersOf(device)) {
      let child = node.children.get(name)
      if (child === undefined) {
        child = { name, weight: 0, devices: 0, children: new Map(), target: 0 }
        node.children.set(name, child)
      }
      child.weight += device.weight
      child.devices++
      node = child
    }
  }
  return root
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

/** Each node's replicas: by weight, pulled towards an even spread over failure domains as far as overload allows. */
function setTargets(node: Node, replicas: number, overload: number): void {
  node.target = replicas
  const children = [...node.children.values()]
  if (children.length === 0) return
  const caps = children.map((child) => child.devices)
  const weighted = share(replicas, children.map((child) => child.weight), caps)
  const even = share(replicas, children.map((child) => (child.weight > 0 ? 1 : 0)), caps)
  const gains = children.map((_, at) => Math.max(0, Math.min((even[at] ?? 0) - (weighted[at] ?? 0), (weighted[at] ?? 0) * overload)))
  const gain = gains.reduce((sum, one) => sum + one, 0)
  const excess = children.map((_, at) => Math.max(0, (weighted[at] ?? 0) - (even[at] ?? 0)))
  const excessSum = excess.reduce((sum, one) => sum + one, 0)
  for (const [at, child] of children.entries()) setTargets(child, (weighted[at] ?? 0) + (gains[at] ?? 0) - (excessSum === 0 ? 0 : (gain * (excess[at] ?? 0)) / excessSum), overload)
}

class Builder {
  input: RebalanceInput
  parts: number
  assignment: Assignment
  moved_h: Uint32Array
  byId = new Map<number, RingDevice>()
  tiers = new Map<number, string[]>()
  /** Most replicas of one partition that a tier may hold. */
  limit = new Map<string, number>()
  wanted = new Map<number, number>()
  have = new Map<number, number>()
  touched = new Set<number>()

  constructor(input: RebalanceInput) {
    this.input = input
    this.parts = 2 ** input.part_power
    const live = input.devices.filter((device) => device.weight > 0)
    const root = treeOf(live)
    setTargets(root, Math.min(input.replicas, live.length), input.overload)
    const walk = (node: Node) => {
      this.limit.set(node.name, Math.max(1, Math.ceil(node.target - 1e-9)))
      for (const child of node.children.values()) walk(child)
      if (node.children.size === 0 && node.name.startsWith('#')) this.wanted.set(Number(node.name.slice(1)), node.target * this.parts)
    }
    walk(root)
    for (const device of live) {
      this.byId.set(device.id, device)
      this.tiers.set(device.id, tiersOf(device))
      this.have.set(device.id, 0)
    }
    const rows = Math.min(input.replicas, live.length)
    this.assignment = Array.from({ length: rows }, (_, replica) => {
      const before = input.previous?.[replica]
      const row = new Uint16Array(this.parts).fill(UNASSIGNED)
      if (before !== undefined && before.length === this.parts) for (let part = 0; part < this.parts; part++) row[part] = this.byId.has(before[part] ?? UNASSIGNED) ? (before[part] ?? UNASSIGNED) : UNASSIGNED
      return row
    })
    this.moved_h = input.moved_h !== undefined && input.moved_h.length === this.parts ? Uint32Array.from(input.moved_h) : new Uint32Array(this.parts)
    for (const row of this.assignment) for (const id of row) if (id !== UNASSIGNED) this.have.set(id, (this.have.get(id) ?? 0) + 1)
  }

  missing = (id: number): number => (this.wanted.get(id) ?? 0) - (this.have.get(id) ?? 0)
  holders = (part: number): number[] => this.assignment.map((row) => row[part] ?? UNASSIGNED).filter((id) => id !== UNASSIGNED)

  counts(ids: number[]): Map<string, number> {
    const counts = new Map<string, number>()
    for (const id of ids) for (const tier of this.tiers.get(id) ?? []) counts.set(tier, (counts.get(tier) ?? 0) + 1)
    return counts
  }

  /** How badly a set of holders is crowded: replicas above the limit of each tier. */
  crowding(ids: number[]): number {
    let sum = 0
    for (const [tier, count] of this.counts(ids)) sum += Math.max(0, count - (this.limit.get(tier) ?? 1))
    return sum
  }

  /** The best device for one more replica beside `others`: least crowding, then the most wanting. null where every device has one. */
  best(others: number[], eligible: (id: number) => boolean): { id: number; crowding: number } | null {
    const counts = this.counts(others)
    let found: { id: number; crowding: number; missing: number } | null = null
    for (const id of this.byId.keys()) {
      if (others.includes(id) || !eligible(id)) continue
      let crowding = 0
      for (const tier of this.tiers.get(id) ?? []) if ((counts.get(tier) ?? 0) >= (this.limit.get(tier) ?? 1)) crowding++
      const missing = this.missing(id)
      if (found === null || crowding < found.crowding || (crowding === found.crowding && missing > found.missing)) found = { id, crowding, missing }
    }
    return found
  }

  set(replica: number, part: number, id: number): void {
    const row = this.assignment[replica]
    if (row === undefined) return
    const before = row[part] ?? UNASSIGNED
    if (before !== UNASSIGNED) this.have.set(before, (this.have.get(before) ?? 0) - 1)
    row[part] = id
    this.have.set(id, (this.have.get(id) ?? 0) + 1)
  }

  movable(part: number): boolean {
    return !this.touched.has(part) && (this.moved_h[part] === 0 || this.input.now_h - (this.moved_h[part] ?? 0) >= this.input.min_part_hours)
  }

  shuffledParts(): number[] {
    const parts = Array.from({ length: this.parts }, (_, part) => part)
    for (let at = parts.length - 1; at > 0; at--) {
      const other = this.input.random.below(at + 1)
      ;[parts[at], parts[other]] = [parts[other] ?? 0, parts[at] ?? 0]
    }
    return parts
  }

  run(): RebalanceResult {
    if (this.byId.size === 0) return { assignment: [], moved_h: new Uint32Array(this.parts), moved: 0 }
    const order = this.shuffledParts()
    const fresh = this.input.previous === undefined || this.input.previous.length === 0
    let moved = this.fill(order, fresh)
    moved += this.spread(order)
    moved += this.balance(order)
    return { assignment: this.assignment, moved_h: this.moved_h, moved }
  }

  /** Places what has no device: new replicas, and those of devices that are gone (whatever min_part_hours says). */
  fill(order: number[], fresh: boolean): number {
    let placed = 0
    for (const part of order) {
      for (let replica = 0; replica < this.assignment.length; replica++) {
        if (this.assignment[replica]?.[part] !== UNASSIGNED) continue
        const target = this.best(this.holders(part), () => true)
        if (target === null) continue
        this.set(replica, part, target.id)
        if (!fresh && this.input.previous?.[replica] !== undefined) {
          this.mark(part)
          placed++
        }
      }
    }
    return placed
  }

  /** Moves one replica of a partition whose replicas sit closer together than they need to. */
  spread(order: number[]): number {
    let moved = 0
    for (const part of order) {
      const before = this.crowding(this.holders(part))
      if (before === 0 || !this.movable(part)) continue
      let choice: { replica: number; id: number; after: number } | null = null
      for (let replica = 0; replica < this.assignment.length; replica++) {
        const own = this.assignment[replica]?.[part] ?? UNASSIGNED
        const others = this.holders(part).filter((id) => id !== own)
        const target = this.best([...others], (id) => id !== own)
        if (target === null) continue
        const after = this.crowding([...others, target.id])
        if (after < before && (choice === null || after < choice.after)) choice = { replica, id: target.id, after }
      }
      if (choice === null) continue
      this.set(choice.replica, part, choice.id)
      this.mark(part)
      moved++
    }
    return moved
  }

  /** Moves from devices above their share to those below, never at the price of crowding. */
  balance(order: number[]): number {
    let moved = 0
    for (const part of order) {
      if (!this.movable(part)) continue
      for (let replica = 0; replica < this.assignment.length; replica++) {
        const own = this.assignment[replica]?.[part] ?? UNASSIGNED
        if (this.missing(own) > -1) continue
        const holders = this.holders(part)
        const others = holders.filter((id) => id !== own)
        const target = this.best(others, (id) => id !== own && this.missing(id) >= 0.5)
        if (target === null || this.crowding([...others, target.id]) > this.crowding(holders)) continue
        this.set(replica, part, target.id)
        this.mark(part)
        moved++
        break
      }
    }
    return moved
  }

  mark(part: number): void {
    this.touched.add(part)
    this.moved_h[part] = this.input.now_h
  }
}

export const rebalance = (input: RebalanceInput): RebalanceResult => new Builder(input).run()

/** Per device: what it holds against what its weight asks for. */
export function balanceReport(assignment: Assignment, devices: RingDevice[]): { id: number; parts: number; wanted: number }[] {
  const total = devices.reduce((sum, device) => sum + device.weight, 0)
  const all = assignment.reduce((sum, row) => sum + row.length, 0)
  return devices.map((device) => ({ id: device.id, wanted: total === 0 ? 0 : (all * device.weight) / total, parts: assignment.reduce((sum, row) => sum + row.reduce((count, id) => count + (id === device.id ? 1 : 0), 0), 0) }))
}

/** Devices beyond the primaries, nearest to what the ring would choose: other hosts and zones first, spread by partition. */
export function handoffs(devices: RingDevice[], primaries: RingDevice[], partition: number): RingDevice[] {
  const used = new Set(primaries.map((device) => device.id))
  const [hosts, zones] = [new Set(primaries.map((device) => device.host_id)), new Set(primaries.map((device) => device.zone))]
  const turn = (id: number) => Math.imul(id + 1, 0x9e3779b1) ^ Math.imul(partition + 1, 0x85ebca6b)
  return devices
    .filter((device) => device.weight > 0 && !used.has(device.id))
    .map((device) => ({ device, rank: (hosts.has(device.host_id) ? 2 : 0) + (zones.has(device.zone) ? 1 : 0), turn: turn(device.id) >>> 0 }))
    .sort((a, b) => a.rank - b.rank || a.turn - b.turn)
    .map(({ device }) => device)
}
