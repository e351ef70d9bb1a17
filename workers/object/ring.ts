/**
 * The ring builder: which devices hold the replicas of each partition. Pure and seeded: the same input gives the same ring. A rebalance keeps what is
 * right and moves as little as the weights, the failure domains (region, zone, host) and min_part_hours ask for.
 */
import type { Random } from '../../schema/values/random.ts'
import { newNode, type Node, setTargets, TIERS, treeOf } from './ring-tree.ts'

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

class Builder {
  input: RebalanceInput
  parts: number
  assignment: Assignment
  moved_h: Uint32Array
  root: Node
  leaves: Map<number, Node>
  touched = new Set<number>()

  constructor(input: RebalanceInput) {
    this.input = input
    this.parts = 2 ** input.part_power
    const live = input.devices.filter((device) => device.weight > 0)
    const { root, leaves } = treeOf(live)
    this.root = root
    this.leaves = leaves
    const replicas = Math.min(input.replicas, live.length)
    setTargets(root, replicas, input.overload)
    for (const leaf of leaves.values()) leaf.missing = leaf.target * this.parts
    this.assignment = Array.from({ length: Math.ceil(replicas) }, (_, replica) => this.#kept(input.previous?.[replica], this.length(replica)))
    this.moved_h = input.moved_h !== undefined && input.moved_h.length === this.parts ? Uint32Array.from(input.moved_h) : new Uint32Array(this.parts)
    for (const row of this.assignment) for (const id of row) this.#leaf(id).missing--
    this.#settle(root)
  }

  /** What stays of a replica's row: the devices that are still there. */
  #kept(before: Uint16Array | undefined, length: number): Uint16Array {
    const row = new Uint16Array(this.parts).fill(UNASSIGNED)
    if (before === undefined || before.length !== this.parts) return row
    for (let part = 0; part < length; part++) row[part] = this.leaves.has(before[part] ?? UNASSIGNED) ? (before[part] ?? UNASSIGNED) : UNASSIGNED
    return row
  }

  /** Partitions that have this replica: all, but for the last one of a fractional count. */
  length(replica: number): number {
    const replicas = Math.min(this.input.replicas, this.leaves.size)
    return replica + 1 <= replicas ? this.parts : Math.round((replicas - replica) * this.parts)
  }

  #nobody = newNode('')
  #leaf = (id: number): Node => this.leaves.get(id) ?? this.#nobody

  #settle(node: Node): number {
    if (node.device === null) node.missing = node.children.reduce((most, child) => Math.max(most, this.#settle(child)), Number.NEGATIVE_INFINITY)
    return node.missing
  }

  /** A device's own figure changed: so may those of the domains above it. */
  #rise(leaf: Node): void {
    for (let at = leaf.path.length - 2; at >= 0; at--) {
      const node = leaf.path[at] as Node
      let most = Number.NEGATIVE_INFINITY
      for (const child of node.children) if (child.missing > most) most = child.missing
      node.missing = most
    }
  }

  holders(part: number): Node[] {
    const found: Node[] = []
    for (const row of this.assignment) {
      const leaf = this.leaves.get(row[part] ?? UNASSIGNED)
      if (leaf !== undefined) found.push(leaf)
    }
    return found
  }

  #mark(leaves: readonly Node[], by: 1 | -1): void {
    for (const leaf of leaves) for (const node of leaf.path) node.count += by
  }

  /** How badly a set of holders is crowded: replicas above the limit of each domain. */
  crowding(leaves: readonly Node[]): number {
    this.#mark(leaves, 1)
    let sum = 0
    const seen = new Set<Node>()
    for (const leaf of leaves) {
      for (const node of leaf.path) {
        if (node.count <= node.limit || seen.has(node)) continue
        seen.add(node)
        sum += node.count - node.limit
      }
    }
    this.#mark(leaves, -1)
    return sum
  }

  /** The best device for one more replica beside `others`: least crowding, then the most wanting. Null where every device has one. */
  best(others: readonly Node[], except: Node | null, missing_min: number): Node | null {
    this.#mark(others, 1)
    let found: Node | null = null
    for (let budget = 0; budget <= TIERS && found === null; budget++) found = this.#descend(this.root, budget, null, others, except, missing_min)
    this.#mark(others, -1)
    return found
  }

  /** The domain that holds the neediest device first: with its figure most of the others are passed over unseen. */
  #descend(node: Node, budget: number, found: Node | null, others: readonly Node[], except: Node | null, missing_min: number): Node | null {
    let best = found
    const isWorth = (child: Node): boolean => child.missing >= missing_min && (best === null || child.missing > best.missing)
    const visit = (child: Node): void => {
      const left = child.count >= child.limit ? budget - 1 : budget
      if (left < 0) return
      if (child.device === null) best = this.#descend(child, left, best, others, except, missing_min)
      else if (child !== except && child.count === 0) best = child
    }
    let first: Node | null = null
    for (const child of node.children) if (isWorth(child) && (first === null || child.missing > first.missing)) first = child
    if (first !== null) visit(first)
    for (const child of node.children) if (child !== first && isWorth(child)) visit(child)
    return best
  }

  set(replica: number, part: number, leaf: Node): void {
    const row = this.assignment[replica]
    if (row === undefined || leaf.device === null) return
    const before = this.leaves.get(row[part] ?? UNASSIGNED)
    row[part] = leaf.device.id
    leaf.missing--
    this.#rise(leaf)
    if (before === undefined) return
    before.missing++
    this.#rise(before)
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
    if (this.leaves.size === 0) return { assignment: [], moved_h: new Uint32Array(this.parts), moved: 0 }
    const order = this.shuffledParts()
    const fresh = this.input.previous === undefined || this.input.previous.length === 0
    let moved = this.fill(order, fresh)
    moved += this.spread(order)
    moved += this.balance(order, -1, MISSING_MIN)
    // Devices a fraction above their share give to those that lack a whole partition: one new device takes a little from everybody.
    moved += this.balance(order, -1e-6, 1)
    return { assignment: this.assignment, moved_h: this.moved_h, moved }
  }

  /** Places what has no device: new replicas, and those of devices that are gone (whatever min_part_hours says). */
  fill(order: number[], fresh: boolean): number {
    let placed = 0
    for (const part of order) {
      for (let replica = 0; replica < this.assignment.length; replica++) {
        if (this.assignment[replica]?.[part] !== UNASSIGNED || part >= this.length(replica)) continue
        const target = this.best(this.holders(part), null, Number.NEGATIVE_INFINITY)
        if (target === null) continue
        this.set(replica, part, target)
        if (!fresh && (this.input.previous?.[replica]?.[part] ?? UNASSIGNED) !== UNASSIGNED) {
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
      const holders = this.holders(part)
      const before = this.crowding(holders)
      if (before === 0 || !this.movable(part)) continue
      let choice: { replica: number; target: Node; after: number } | null = null
      for (let replica = 0; replica < this.assignment.length; replica++) {
        const own = this.leaves.get(this.assignment[replica]?.[part] ?? UNASSIGNED)
        if (own === undefined) continue
        const others = holders.filter((leaf) => leaf !== own)
        const target = this.best(others, own, Number.NEGATIVE_INFINITY)
        if (target === null) continue
        const after = this.crowding([...others, target])
        if (after < before && (choice === null || after < choice.after)) choice = { replica, target, after }
      }
      if (choice === null) continue
      this.set(choice.replica, part, choice.target)
      this.mark(part)
      moved++
    }
    return moved
  }

  /** Moves from devices above their share to those below, never at the price of crowding. */
  balance(order: number[], above: number, lacks: number): number {
    let moved = 0
    for (const part of order) {
      if (!this.movable(part)) continue
      for (let replica = 0; replica < this.assignment.length; replica++) {
        const own = this.leaves.get(this.assignment[replica]?.[part] ?? UNASSIGNED)
        if (own === undefined || own.missing > above) continue
        const holders = this.holders(part)
        const others = holders.filter((leaf) => leaf !== own)
        const target = this.best(others, own, lacks)
        if (target === null || this.crowding([...others, target]) > this.crowding(holders)) continue
        this.set(replica, part, target)
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

/** A device takes another partition only where it lacks at least half of one. */
const MISSING_MIN = 0.5

export const rebalance = (input: RebalanceInput): RebalanceResult => new Builder(input).run()

/** What each device held before and does not any more: [device, partitions]. */
export function movedAway(before: Assignment, after: Assignment): Map<number, number[]> {
  const moved = new Map<number, number[]>()
  for (const row of before) {
    for (let part = 0; part < row.length; part++) {
      const id = row[part] ?? UNASSIGNED
      if (id === UNASSIGNED || after.some((other) => other[part] === id)) continue
      const parts = moved.get(id) ?? []
      parts.push(part)
      moved.set(id, parts)
    }
  }
  return moved
}
