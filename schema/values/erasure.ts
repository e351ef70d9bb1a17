/**
 * Reed-Solomon over GF(2^8) (polynomial 0x11d), systematic: k data fragments as they are, m parity fragments beside them, any k of all give back every other one. The parity
 * rows are a Cauchy matrix whose columns are scaled so that its first row is plain XOR: each square part of it can be inverted, whatever k and m. Pure; why it is our own is
 * told in docs/decisions/0006. Sums go four bytes at a time through tables of one coefficient each (4 KiB), which is as fast as memory lets one core be.
 */
import { Fault } from './fault.ts'

/** k + m; each fragment needs its own column of the field. */
export const FRAGMENTS_MAX = 255
/** Upstream's default (ec_object_segment_size). */
export const SEGMENT_BYTES_DEFAULT = 1024 * 1024

/** Of any encryption that is known. */
const TAG_BYTES_MAX = 64

/** How a policy's objects are cut: decided once, for what is stored depends on it. */
export interface ErasureScheme {
  /** k: fragments that an object is cut into. */
  data: number
  /** m: fragments that may be lost. */
  parity: number
  /** Bytes of an object that are encoded at a time. */
  segment_bytes: number
  /** Where the object is encrypted: bytes that each of its segments is longer by when it is encoded. */
  tag_bytes?: number
}

const POLYNOMIAL = 0x11d
const EXP = new Uint8Array(512)
const LOG = new Uint8Array(256)
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = value
  EXP[power + 255] = value
  LOG[value] = power
  value <<= 1
  if (value > 255) value ^= POLYNOMIAL
}

export const multiply = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : (EXP[(LOG[a] ?? 0) + (LOG[b] ?? 0)] ?? 0))
export const invert = (a: number): number => EXP[255 - (LOG[a] ?? 0)] ?? 0

/** For each coefficient: what a byte at each place of a 32-bit word is multiplied to. Made when it is first needed. */
const tables: (Uint32Array[] | undefined)[] = []
function tableOf(coefficient: number): Uint32Array[] {
  const known = tables[coefficient]
  if (known !== undefined) return known
  const made = [0, 8, 16, 24].map((shift) => Uint32Array.from({ length: 256 }, (_, byte) => (multiply(byte, coefficient) << shift) >>> 0))
  tables[coefficient] = made
  return made
}

/** Both views on the same words; null where they do not begin at a word. */
function wordsOf(bytes: Uint8Array): Uint32Array | null {
  return bytes.byteOffset % 4 === 0 ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2) : null
}

function addWords(out: Uint32Array, from: Uint32Array, coefficient: number): void {
  const length = out.length
  if (coefficient === 1) {
    for (let at = 0; at < length; at++) out[at] = (out[at] as number) ^ (from[at] as number)
    return
  }
  const [a, b, c, d] = tableOf(coefficient) as [Uint32Array, Uint32Array, Uint32Array, Uint32Array]
  for (let at = 0; at < length; at++) {
    const word = from[at] as number
    out[at] = (out[at] as number) ^ (a[word & 255] as number) ^ (b[(word >>> 8) & 255] as number) ^ (c[(word >>> 16) & 255] as number) ^ (d[word >>> 24] as number)
  }
}

/** out += coefficient * from, over the field. */
function addScaled(out: Uint8Array, from: Uint8Array, coefficient: number): void {
  if (coefficient === 0) return
  const [words, others] = [wordsOf(out), wordsOf(from)]
  let at = 0
  if (words !== null && others !== null) {
    addWords(words, others, coefficient)
    at = words.length * 4
  }
  for (; at < out.length; at++) out[at] = (out[at] as number) ^ multiply(from[at] as number, coefficient)
}

type Matrix = number[][]

/** Gauss and Jordan; a matrix of these codes always has an inverse. */
function inverse(matrix: Matrix): Matrix {
  const size = matrix.length
  const rows = matrix.map((row, n) => [...row, ...Array.from({ length: size }, (_, column) => (column === n ? 1 : 0))])
  for (let column = 0; column < size; column++) {
    const pivot = rows.findIndex((row, n) => n >= column && row[column] !== 0)
    if (pivot < 0) throw new Fault('internal', 'these fragments do not determine the others')
    const [top] = rows.splice(pivot, 1) as [number[]]
    const scale = invert(top[column] as number)
    const scaled = top.map((value) => multiply(value, scale))
    rows.splice(column, 0, scaled)
    for (const [n, row] of rows.entries()) {
      const factor = row[column] as number
      if (n === column || factor === 0) continue
      rows[n] = row.map((value, at) => value ^ multiply(factor, scaled[at] as number))
    }
  }
  return rows.map((row) => row.slice(size))
}

export function checkScheme({ data, parity, segment_bytes, tag_bytes = 0 }: ErasureScheme): void {
  const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1
  if (!isCount(data) || !isCount(parity) || data + parity > FRAGMENTS_MAX) throw new Fault('bad_request', `${data} data and ${parity} parity fragments: each must be at least 1, and both together at most ${FRAGMENTS_MAX}`)
  if (!isCount(segment_bytes) || segment_bytes < data) throw new Fault('bad_request', `a segment of ${segment_bytes} bytes can't be cut into ${data} fragments`)
  if (!Number.isInteger(tag_bytes) || tag_bytes < 0 || tag_bytes > TAG_BYTES_MAX) throw new Fault('bad_request', `segments that are ${tag_bytes} bytes longer are not of any encryption`)
}

export class ErasureCode {
  readonly data: number
  readonly parity: number
  #rows: Matrix
  #plans = new Map<string, number[]>()

  constructor({ data, parity }: Pick<ErasureScheme, 'data' | 'parity'>) {
    this.data = data
    this.parity = parity
    const identity = Array.from({ length: data }, (_, row) => Array.from({ length: data }, (_, column) => (row === column ? 1 : 0)))
    const cauchy = (row: number, column: number): number => invert((data + row) ^ column)
    const scales = Array.from({ length: data }, (_, column) => invert(cauchy(0, column)))
    const below = Array.from({ length: parity }, (_, row) => scales.map((scale, column) => multiply(cauchy(row, column), scale)))
    this.#rows = [...identity, ...below]
  }

  /** The parity of `data` fragments of one length. */
  encode(fragments: readonly Uint8Array[]): Uint8Array[] {
    return this.#rows.slice(this.data).map((row) => combine(row, fragments))
  }

  /** Fragment `wanted` from any k others; `from`: their numbers, in the order of `fragments`. */
  rebuild(wanted: number, from: readonly number[], fragments: readonly Uint8Array[]): Uint8Array {
    const at = from.indexOf(wanted)
    if (at >= 0) return fragments[at] as Uint8Array
    return combine(this.#plan(wanted, from), fragments)
  }

  /** What each of the given fragments counts in the wanted one. */
  #plan(wanted: number, from: readonly number[]): number[] {
    const key = `${wanted}<${from.join()}`
    const known = this.#plans.get(key)
    if (known !== undefined) return known
    if (from.length !== this.data || new Set(from).size !== this.data) throw new Fault('internal', `${this.data} different fragments are needed, not ${from.join()}`)
    const back = inverse(from.map((number) => this.#rows[number] as number[]))
    const row = this.#rows[wanted] as number[]
    const plan = from.map((_, column) => row.reduce((sum, factor, n) => sum ^ multiply(factor, back[n]?.[column] as number), 0))
    if (this.#plans.size >= PLANS_MAX) this.#plans.clear()
    this.#plans.set(key, plan)
    return plan
  }
}

/** Remembered ways to rebuild: there are as many as sets of lost fragments. */
const PLANS_MAX = 1_024

function combine(row: readonly number[], fragments: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(fragments[0]?.byteLength ?? 0)
  for (const [n, fragment] of fragments.entries()) addScaled(out, fragment, row[n] as number)
  return out
}

const codes = new Map<string, ErasureCode>()
export function codeOf({ data, parity }: Pick<ErasureScheme, 'data' | 'parity'>): ErasureCode {
  const key = `${data}+${parity}`
  const known = codes.get(key) ?? new ErasureCode({ data, parity })
  codes.set(key, known)
  return known
}

// ---------------------------------------------------------------- segments

/** Bytes of each fragment of a segment with so many bytes of the object: the last ones are filled up with zeros. */
export const fragmentBytes = (scheme: Pick<ErasureScheme, 'data' | 'tag_bytes'>, segment: number): number => (segment === 0 ? 0 : Math.ceil((segment + (scheme.tag_bytes ?? 0)) / scheme.data))

/** Bytes of one fragment of a whole object. */
export function archiveBytes(scheme: ErasureScheme, size_bytes: number): number {
  const rest = size_bytes % scheme.segment_bytes
  return Math.floor(size_bytes / scheme.segment_bytes) * fragmentBytes(scheme, scheme.segment_bytes) + fragmentBytes(scheme, rest)
}

/** One segment of at most segment_bytes, and its tag where it has one, as its k + m fragments. */
export function encodeSegment(scheme: ErasureScheme, segment: Uint8Array): Uint8Array[] {
  const size = Math.ceil(segment.byteLength / scheme.data)
  const data = Array.from({ length: scheme.data }, (_, n) => {
    const part = segment.subarray(n * size, (n + 1) * size)
    // Each begins at a word of its own buffer where it is not the segment's own bytes that will do.
    if (part.byteLength === size && part.byteOffset % 4 === 0) return part
    const filled = new Uint8Array(size)
    filled.set(part)
    return filled
  })
  return [...data, ...codeOf(scheme).encode(data)]
}

/** The segment again, its tag too, from any k of its fragments. */
export function decodeSegment(scheme: ErasureScheme, from: readonly number[], fragments: readonly Uint8Array[], length: number): Uint8Array {
  const size = Math.ceil(length / scheme.data)
  const out = new Uint8Array(length)
  for (let n = 0; n < scheme.data && n * size < length; n++) {
    const part = codeOf(scheme).rebuild(n, from, fragments)
    out.set(part.subarray(0, Math.min(size, length - n * size)), n * size)
  }
  return out
}

/** Where a stretch of an object lies: its segments, and the bytes of any fragment that hold them (all inclusive). */
export interface Stretch {
  first_segment: number
  last_segment: number
  archive: [number, number]
}

export function stretchOf(scheme: ErasureScheme, size_bytes: number, [first, last]: [number, number]): Stretch {
  const whole = fragmentBytes(scheme, scheme.segment_bytes)
  const first_segment = Math.floor(first / scheme.segment_bytes)
  const last_segment = Math.floor(last / scheme.segment_bytes)
  const end = archiveBytes(scheme, Math.min(size_bytes, (last_segment + 1) * scheme.segment_bytes))
  return { first_segment, last_segment, archive: [first_segment * whole, end - 1] }
}

/** Bytes of the object in one of its segments. */
export const segmentLength = (scheme: ErasureScheme, size_bytes: number, segment: number): number => Math.min(scheme.segment_bytes, size_bytes - segment * scheme.segment_bytes)
