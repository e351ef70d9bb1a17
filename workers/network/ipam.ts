/**
 * Addresses of a subnet: which are free, kept as disjoint ranges ordered by their first address. Taking the lowest, taking a given one and giving one
 * back touch at most three ranges, whatever the size of the subnet: O(log n) with an ordered store (a SQL index in an object, an array in tests).
 * Only addresses of the allocation pools are ever in the free ranges; others may be used on demand and are told apart by the used set.
 */
export interface Range {
  first: bigint
  last: bigint
}

/** Ordered store of disjoint, non-adjacent ranges. */
export interface FreeRanges {
  lowest(): Range | null
  /** The range with the greatest `first` that is <= value. */
  floor(value: bigint): Range | null
  /** The range that starts exactly here. */
  at(first: bigint): Range | null
  put(range: Range): void
  remove(first: bigint): void
}

/** Takes the lowest free address; null where none is left. */
export function takeLowest(free: FreeRanges): bigint | null {
  const range = free.lowest()
  if (range === null) return null
  free.remove(range.first)
  if (range.first < range.last) free.put({ first: range.first + 1n, last: range.last })
  return range.first
}

/** Takes this address out of the free ranges; false where it was not in them. */
export function takeExact(free: FreeRanges, value: bigint): boolean {
  const range = free.floor(value)
  if (range === null || range.last < value) return false
  free.remove(range.first)
  if (range.first < value) free.put({ first: range.first, last: value - 1n })
  if (value < range.last) free.put({ first: value + 1n, last: range.last })
  return true
}

/** Gives an address of the pools back, merging it with its neighbours. Giving back what is free already changes nothing. */
export function giveBack(free: FreeRanges, value: bigint): void {
  const left = free.floor(value)
  if (left !== null && value <= left.last) return
  const right = free.at(value + 1n)
  const joinsLeft = left !== null && left.last + 1n === value
  if (joinsLeft) free.remove(left.first)
  if (right !== null) free.remove(right.first)
  free.put({ first: joinsLeft ? left.first : value, last: right === null ? value : right.last })
}

/** The free ranges of pools from which `used` (sorted) is taken: what a changed subnet starts from. */
export function rangesWithout(pools: readonly Range[], used: readonly bigint[]): Range[] {
  const found: Range[] = []
  for (const pool of joined(pools)) {
    let first = pool.first
    for (const value of used) {
      if (value < first || value > pool.last) continue
      if (first < value) found.push({ first, last: value - 1n })
      first = value + 1n
    }
    if (first <= pool.last) found.push({ first, last: pool.last })
  }
  return found
}

/** Sorted, adjacent ranges made one. */
export function joined(ranges: readonly Range[]): Range[] {
  const found: Range[] = []
  for (const range of [...ranges].sort((a, b) => (a.first < b.first ? -1 : 1))) {
    const last = found.at(-1)
    if (last !== undefined && range.first <= last.last + 1n) last.last = range.last > last.last ? range.last : last.last
    else found.push({ ...range })
  }
  return found
}

/** Without the holes: the pools of a whole block around its gateway (upstream's default pools). */
export const rangesAround = (block: Range, hole: bigint | null): Range[] => rangesWithout([block], hole === null ? [] : [hole])

export const sizeOf = (ranges: readonly Range[]): bigint => ranges.reduce((sum, range) => sum + range.last - range.first + 1n, 0n)
