/** Randomness, passed in: the platform's in production, seeded in simulations (which print their seed). */
export interface Random {
  bytes(count: number): Uint8Array
  /** Integer in [0, bound). */
  below(bound: number): number
}

export const systemRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
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
