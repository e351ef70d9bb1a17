/** A version on its way between hosts in one body: the length of what is stored with it, that as JSON, then its bytes. */
import type { StoredVersion } from '../../schema/agent/replication.ts'
import { Fault } from '../../schema/values/fault.ts'

const LENGTH_BYTES = 4
/** What is stored with a version; the same as for arguments. */
export const STORED_BYTES_MAX = 4 * 1024 * 1024

export async function* framed(stored: StoredVersion, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const json = Buffer.from(JSON.stringify(stored))
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(json.length)
  yield length
  yield json
  yield* body
}

/** Splits such a body; the rest must be read to its end, or ended. */
export async function unframed(body: AsyncIterable<Uint8Array>): Promise<{ stored: StoredVersion; body: AsyncIterable<Uint8Array> }> {
  const chunks = body[Symbol.asyncIterator]()
  let held = Buffer.alloc(0)
  const need = async (length: number): Promise<void> => {
    while (held.length < length) {
      const { done, value } = await chunks.next()
      if (done === true) throw new Fault('unavailable', 'a version ended before it began')
      held = Buffer.concat([held, value])
    }
  }
  try {
    await need(LENGTH_BYTES)
    const length = held.readUInt32BE(0)
    if (length > STORED_BYTES_MAX) throw new Fault('too_large', 'what is stored with a version is too large')
    await need(LENGTH_BYTES + length)
    const stored = JSON.parse(held.subarray(LENGTH_BYTES, LENGTH_BYTES + length).toString()) as StoredVersion
    return { stored, body: rest(held.subarray(LENGTH_BYTES + length), chunks) }
  } catch (error) {
    await chunks.return?.().catch(() => {})
    throw error
  }
}

function rest(first: Uint8Array, chunks: AsyncIterator<Uint8Array>): AsyncIterableIterator<Uint8Array> {
  let ready: Uint8Array | null = first.length > 0 ? first : null
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      if (ready === null) return await chunks.next()
      const value = ready
      ready = null
      return { done: false, value }
    },
    async return() {
      await chunks.return?.()
      return { done: true, value: undefined }
    },
  }
}
