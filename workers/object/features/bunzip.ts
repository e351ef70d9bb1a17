/** bzip2, which the platform's DecompressionStream does not know: whole blocks as soon as their bytes are there, so that memory stays bounded by one block. */
/// <reference path="./bzip2.d.ts" />
import bitIterator from 'unbzip2-stream/lib/bit_iterator.js'
import bzip2 from 'unbzip2-stream/lib/bzip2.js'

/** A compressed block is at most a little longer than what it holds. */
const BLOCK_UNIT = 100_000
const BLOCK_SLACK_BYTES = 25_000
const MAGIC_BYTES = 4

/** Bytes that grow by doubling: runs in one block can stand for 46 MB. */
class Sink {
  #bytes = new Uint8Array(BLOCK_UNIT)
  #length = 0
  push = (value: number): void => {
    if (this.#length === this.#bytes.byteLength) {
      const more = new Uint8Array(this.#length * 2)
      more.set(this.#bytes)
      this.#bytes = more
    }
    this.#bytes[this.#length++] = value
  }
  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }
}

export function bunzip(): TransformStream<Uint8Array, Uint8Array> {
  const queue: Uint8Array[] = []
  let bytes = 0
  /** Hundred thousands of bytes; 0 before a header. */
  let size = 0
  let crc: number | null = null
  let bits: ReturnType<typeof bitIterator> | null = null
  const step = (controller: TransformStreamDefaultController<Uint8Array>): void => {
    bits ??= bitIterator(() => queue.shift())
    if (size === 0) {
      size = bzip2.header(bits)
      crc = 0
      return
    }
    const sink = new Sink()
    crc = bzip2.decompress(bits, sink.push, new Int32Array(size * BLOCK_UNIT), size * BLOCK_UNIT, crc ?? 0)
    if (crc === null) size = 0
    else controller.enqueue(sink.take())
  }
  const left = () => bytes - (bits?.bytesRead ?? 0)
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      if (chunk.byteLength === 0) return
      queue.push(chunk)
      bytes += chunk.byteLength
      while (left() >= (size === 0 ? MAGIC_BYTES : size * BLOCK_UNIT + BLOCK_SLACK_BYTES)) step(controller)
    },
    flush(controller) {
      while (bytes > 0 && left() > 0) step(controller)
      if (bytes === 0 || size !== 0) throw new Error('the bzip2 stream ends early')
    },
  })
}
