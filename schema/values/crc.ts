/**
 * The CRCs that S3's clients send: CRC-32, CRC-32C and CRC-64/NVME, all reflected. Eight bytes a step by tables; two of them are joined without their bytes where
 * the parts of a large object are put together.
 */
export type CrcKind = 'crc32' | 'crc32c' | 'crc64nvme'

export interface Crc {
  update(bytes: Uint8Array): void
  /** Big endian. */
  digest(): Uint8Array
}

const POLYNOMIALS: Record<CrcKind, { bits: number; reflected: bigint }> = {
  crc32: { bits: 32, reflected: 0xedb88320n },
  crc32c: { bits: 32, reflected: 0x82f63b78n },
  crc64nvme: { bits: 64, reflected: 0x9a6c9329ac4bc9b5n },
}

const SLICES = 8

/** Low and high words of the tables; the high ones stay zero for 32 bits. */
interface Tables {
  low: Uint32Array
  high: Uint32Array
}

const made = new Map<CrcKind, Tables>()

function tablesOf(kind: CrcKind): Tables {
  const known = made.get(kind)
  if (known !== undefined) return known
  const { reflected } = POLYNOMIALS[kind]
  const first: bigint[] = Array.from({ length: 256 }, (_, byte) => {
    let value = BigInt(byte)
    for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ reflected : value >> 1n
    return value
  })
  const tables: Tables = { low: new Uint32Array(SLICES * 256), high: new Uint32Array(SLICES * 256) }
  for (let byte = 0; byte < 256; byte++) {
    let value = first[byte] ?? 0n
    for (let slice = 0; slice < SLICES; slice++) {
      tables.low[slice * 256 + byte] = Number(value & 0xffffffffn)
      tables.high[slice * 256 + byte] = Number(value >> 32n)
      value = (value >> 8n) ^ (first[Number(value & 0xffn)] ?? 0n)
    }
  }
  made.set(kind, tables)
  return tables
}

export function createCrc(kind: CrcKind): Crc {
  const { low, high } = tablesOf(kind)
  return POLYNOMIALS[kind].bits === 32 ? crcOf32(low) : crcOf64(low, high)
}

/** A table's word; the index is always within it. */
const at = (table: Uint32Array, index: number): number => table[index] as number

function crcOf32(table: Uint32Array): Crc {
  let crc = 0xffffffff
  return {
    update(bytes) {
      let n = 0
      for (; n + 8 <= bytes.length; n += 8) {
        const one = crc ^ ((bytes[n] as number) | ((bytes[n + 1] as number) << 8) | ((bytes[n + 2] as number) << 16) | ((bytes[n + 3] as number) << 24))
        crc = at(table, 1792 + (one & 255)) ^ at(table, 1536 + ((one >>> 8) & 255)) ^ at(table, 1280 + ((one >>> 16) & 255)) ^ at(table, 1024 + (one >>> 24))
          ^ at(table, 768 + (bytes[n + 4] as number)) ^ at(table, 512 + (bytes[n + 5] as number)) ^ at(table, 256 + (bytes[n + 6] as number)) ^ at(table, bytes[n + 7] as number)
      }
      for (; n < bytes.length; n++) crc = (crc >>> 8) ^ at(table, (crc ^ (bytes[n] as number)) & 255)
    },
    digest() {
      const bytes = new Uint8Array(4)
      new DataView(bytes.buffer).setUint32(0, (crc ^ 0xffffffff) >>> 0)
      return bytes
    },
  }
}

function crcOf64(lowTable: Uint32Array, highTable: Uint32Array): Crc {
  let [low, high] = [0xffffffff, 0xffffffff]
  return {
    update(bytes) {
      let n = 0
      for (; n + 8 <= bytes.length; n += 8) {
        const a = low ^ ((bytes[n] as number) | ((bytes[n + 1] as number) << 8) | ((bytes[n + 2] as number) << 16) | ((bytes[n + 3] as number) << 24))
        const b = high ^ ((bytes[n + 4] as number) | ((bytes[n + 5] as number) << 8) | ((bytes[n + 6] as number) << 16) | ((bytes[n + 7] as number) << 24))
        const [i7, i6, i5, i4] = [1792 + (a & 255), 1536 + ((a >>> 8) & 255), 1280 + ((a >>> 16) & 255), 1024 + (a >>> 24)]
        const [i3, i2, i1, i0] = [768 + (b & 255), 512 + ((b >>> 8) & 255), 256 + ((b >>> 16) & 255), b >>> 24]
        low = at(lowTable, i7) ^ at(lowTable, i6) ^ at(lowTable, i5) ^ at(lowTable, i4) ^ at(lowTable, i3) ^ at(lowTable, i2) ^ at(lowTable, i1) ^ at(lowTable, i0)
        high = at(highTable, i7) ^ at(highTable, i6) ^ at(highTable, i5) ^ at(highTable, i4) ^ at(highTable, i3) ^ at(highTable, i2) ^ at(highTable, i1) ^ at(highTable, i0)
      }
      for (; n < bytes.length; n++) {
        const index = (low ^ (bytes[n] as number)) & 255
        low = ((low >>> 8) | (high << 24)) ^ at(lowTable, index)
        high = (high >>> 8) ^ at(highTable, index)
      }
    },
    digest() {
      const bytes = new Uint8Array(8)
      const view = new DataView(bytes.buffer)
      view.setUint32(0, (high ^ 0xffffffff) >>> 0)
      view.setUint32(4, (low ^ 0xffffffff) >>> 0)
      return bytes
    },
  }
}

/** a * b modulo the polynomial; bit `bits - 1` stands for x^0, as reflected CRCs have it. */
function multiply(a: bigint, b: bigint, bits: number, reflected: bigint): bigint {
  let product = 0n
  let factor = b
  for (let bit = BigInt(bits - 1); bit >= 0n; bit--) {
    if ((a >> bit) & 1n) product ^= factor
    factor = factor & 1n ? (factor >> 1n) ^ reflected : factor >> 1n
  }
  return product
}

/** x^(8 * length): what a CRC is multiplied by when `length` bytes follow. */
function shiftBy(length: number, bits: number, reflected: bigint): bigint {
  let power = 1n << BigInt(bits - 1 - 8)
  let result = 1n << BigInt(bits - 1)
  for (let rest = BigInt(length); rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = multiply(result, power, bits, reflected)
    power = multiply(power, power, bits, reflected)
  }
  return result
}

const toBigInt = (bytes: Uint8Array): bigint => bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)

/** The CRC of all parts one after another, of the CRC and the length of each. */
export function joinCrcs(kind: CrcKind, parts: readonly { crc: Uint8Array; length: number }[]): Uint8Array {
  const { bits, reflected } = POLYNOMIALS[kind]
  // Parts mostly have one length: what it shifts by is worked out once.
  const shifts = new Map<number, bigint>()
  let whole = 0n
  for (const { crc, length } of parts) {
    const shift = shifts.get(length) ?? shiftBy(length, bits, reflected)
    shifts.set(length, shift)
    whole = multiply(whole, shift, bits, reflected) ^ toBigInt(crc)
  }
  const bytes = new Uint8Array(bits / 8)
  for (let n = bytes.length - 1; n >= 0; n--, whole >>= 8n) bytes[n] = Number(whole & 0xffn)
  return bytes
}
