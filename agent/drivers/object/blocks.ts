/** Check sums of a body by blocks: any range can be checked before a byte of it is given, and a reader that meets damage knows from where to go on elsewhere. */
import { crc32 } from 'node:zlib'

export const BLOCK_BYTES = 512 * 1024
const SUM_BYTES = 4

/** Collects the sums of a body that passes in chunks of any size. */
export class BlockSums {
  #sums: number[] = []
  #sum = 0
  #held = 0

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const take = Math.min(BLOCK_BYTES - this.#held, chunk.length - at)
      this.#sum = crc32(chunk.subarray(at, at + take), this.#sum)
      this.#held += take
      at += take
      if (this.#held === BLOCK_BYTES) this.#close()
    }
  }

  /** base64 of all of them; empty for an empty body. */
  finish(): string {
    if (this.#held > 0) this.#close()
    const bytes = Buffer.alloc(this.#sums.length * SUM_BYTES)
    for (const [n, sum] of this.#sums.entries()) bytes.writeUInt32BE(sum, n * SUM_BYTES)
    return bytes.toString('base64')
  }

  #close(): void {
    this.#sums.push(this.#sum)
    this.#sum = 0
    this.#held = 0
  }
}

/** The sums that were stored, or null where they are not those of a body of this size. */
export function parseSums(blocks: string | undefined, size_bytes: number): number[] | null {
  if (blocks === undefined) return null
  const bytes = Buffer.from(blocks, 'base64')
  if (bytes.length !== Math.ceil(size_bytes / BLOCK_BYTES) * SUM_BYTES) return null
  return Array.from({ length: bytes.length / SUM_BYTES }, (_, n) => bytes.readUInt32BE(n * SUM_BYTES))
}

export const sumOf = (block: Uint8Array): number => crc32(block)
