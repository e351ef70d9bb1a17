/** Randomness, passed in: the platform's in production, seeded in simulations (which print their seed). */
export interface Random {
  bytes(count: number): Uint8Array
  /** Integer in [0, bound). */
  below(bound: number): number
}

/** Drawn at once: most asks are for 16 bytes, and each draw costs a call out of JavaScript. What was given away is forgotten. */
const POOL_BYTES = 512
const pool = new Uint8Array(POOL_BYTES)
let used = POOL_BYTES

function drawn(count: number): Uint8Array {
  if (count > POOL_BYTES / 8) return crypto.getRandomValues(new Uint8Array(count))
  if (used + count > POOL_BYTES) {
    crypto.getRandomValues(pool)
    used = 0
  }
  const bytes = pool.slice(used, used + count)
  pool.fill(0, used, used + count)
  used += count
  return bytes
}

export const systemRandom: Random = {
  bytes: drawn,
  below: (bound) => Math.floor(Math.random() * bound),
}

/** mulberry32: small, fast, and good enough to explore schedules; never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff),
    below: (bound) => Math.floor((next() / 0x100000000) * bound),
  }
}
