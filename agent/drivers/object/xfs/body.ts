/**
 * The bytes of a stored object, block by block: each is checked before any of it is given. Versions without block sums (written by an earlier release) are held against
 * their MD5 when they are read whole. The sums of an encrypted body are of what lies on the disk; its key opens a block whole or not at all. Ends by itself at the last byte, or by return().
 */
import { createHash } from 'node:crypto'
import { Fault } from '../../../../schema/values/fault.ts'
import { BLOCK_BYTES, parseSums, sumOf } from '../blocks.ts'
import { type BodyOpener, openBlock } from '../sealer.ts'
import type { Stored } from './commit.ts'
import type { ObjectFs } from './fs.ts'

export interface BodyOptions {
  fs: ObjectFs
  file: unknown
  stored: Stored
  /** Both inclusive; null is nothing. */
  range: [number, number] | null
  /** Opens the blocks of an encrypted body; without, they are given as they lie. */
  opener?: BodyOpener | null
  /** Told of damage before it is thrown. */
  damaged(why: string): Promise<void>
  /** Gives the system's errors their names. */
  named(error: unknown): Promise<unknown>
}

export class Body implements AsyncIterableIterator<Uint8Array> {
  #options: BodyOptions
  #at: number
  #end: number
  #sums: number[] | null
  #md5: ReturnType<typeof createHash> | null
  #ready: Uint8Array | null = null
  #closed = false
  /** Of an encrypted body: what is read is not what is given, and is read into the same place each time. */
  #read: Uint8Array | null = null

  constructor(options: BodyOptions) {
    const { range, stored } = options
    const size = stored.size_bytes ?? 0
    this.#options = options
    this.#at = range?.[0] ?? 0
    this.#end = range === null ? 0 : range[1] + 1
    this.#sums = parseSums(stored.blocks, size)
    this.#md5 = this.#sums === null && stored.sealed === undefined && this.#at === 0 && this.#end === size && size > 0 ? createHash('md5') : null
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Reads and checks what comes first, so that damage there is known before anything is promised. */
  async prime(): Promise<void> {
    if (this.#at < this.#end) this.#ready = await this.#block()
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#ready === null && (this.#closed || this.#at >= this.#end)) return this.return()
    const chunk = this.#ready ?? (await this.#block())
    this.#ready = null
    return { done: false, value: chunk }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#closed) {
      this.#closed = true
      await this.#options.fs.close(this.#options.file)
    }
    return { done: true, value: undefined }
  }

  async #block(): Promise<Uint8Array> {
    const { fs, file, stored } = this.#options
    const size = stored.size_bytes ?? 0
    const number = Math.floor(this.#at / BLOCK_BYTES)
    const start = number * BLOCK_BYTES
    const length_bytes = Math.min(BLOCK_BYTES, size - start)
    const block = this.#space(length_bytes)
    try {
      const length = await fs.read(file, block, start)
      if (length !== block.length) await this.#fail('it is shorter than its metadata says')
      if (this.#sums !== null && sumOf(block) !== this.#sums[number]) await this.#fail(`the check sum of its block ${number} does not hold`)
      const opener = this.#options.opener ?? null
      const plain = opener === null ? block : openBlock(opener, number, block)
      const chunk = plain.subarray(this.#at - start, Math.min(block.length, this.#end - start))
      this.#at += chunk.length
      this.#md5?.update(chunk)
      if (this.#md5 !== null && this.#at === this.#end && this.#md5.digest('hex') !== stored.etag) await this.#fail('its MD5 is not the one it came with')
      return chunk
    } catch (error) {
      await this.return()
      throw await this.#options.named(error)
    }
  }

  #space(length: number): Uint8Array {
    if ((this.#options.opener ?? null) === null) return new Uint8Array(length)
    this.#read ??= new Uint8Array(length)
    return this.#read.subarray(0, length)
  }

  async #fail(why: string): Promise<never> {
    await this.#options.damaged(why).catch(() => {})
    throw new Fault('internal', `a stored object is damaged: ${why}`)
  }
}
