/**
 * One lost fragment of an object, computed from k others on whichever hosts have them and written to a disk of this host. Segment by segment: nothing of an object is held
 * whole, however large it is. A source that fails is done without, and the fragment is begun anew.
 */
import type { PartitionAt, StoredVersion } from '../../schema/agent/replication.ts'
import { codeOf, fragmentBytes, segmentLength } from '../../schema/values/erasure.ts'
import { Fault } from '../../schema/values/fault.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'

export interface Source {
  index: number
  read(): Promise<{ stored: StoredVersion; body: AsyncIterable<Uint8Array> }>
}

export interface Wanted {
  at: PartitionAt
  hash: string
  timestamp: string
  index: number
  /** k of the object's scheme. */
  data: number
}

/** Exact pieces of a body. */
class Pieces {
  readonly source: Source
  #chunks: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor(source: Source, body: AsyncIterable<Uint8Array>) {
    this.source = source
    this.#chunks = body[Symbol.asyncIterator]()
  }

  async take(size: number): Promise<Uint8Array> {
    const out = new Uint8Array(size)
    for (let at = 0; at < size; ) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#chunks.next()
        if (done === true) throw new Fault('unavailable', 'a fragment ended early')
        this.#rest = value
        continue
      }
      const part = this.#rest.subarray(0, size - at)
      out.set(part, at)
      at += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
    return out
  }

  async close(): Promise<void> {
    await this.#chunks.return?.().catch(() => {})
  }
}

/** Writes the fragment here; throws where fewer than k others can be read. */
export async function rebuild(replicas: ObjectReplicas, wanted: Wanted, sources: readonly Source[], paced: (bytes: number) => Promise<void>): Promise<void> {
  const failed = new Set<Source>()
  for (;;) {
    const { stored, opened } = await open(wanted, sources, failed)
    try {
      const { fragment, etag: _, blocks: __, ...rest } = stored
      if (fragment === undefined) throw new Fault('internal', 'what was read is no fragment')
      // Its check sums are computed where it is written.
      const made: StoredVersion = { ...rest, fragment: { ...fragment, index: wanted.index } }
      await replicas.receive({ ...wanted.at, hash: wanted.hash, kind: 'data', timestamp: wanted.timestamp, fragment: wanted.index, stored: made }, computed(wanted.index, made, opened, failed, paced))
      return
    } catch (error) {
      // Where no source failed it is this disk, and another try would be no better.
      if (!opened.some(({ source }) => failed.has(source))) throw error
    } finally {
      for (const pieces of opened) await pieces.close()
    }
  }
}

async function open({ hash, data }: Wanted, sources: readonly Source[], failed: Set<Source>): Promise<{ stored: StoredVersion; opened: Pieces[] }> {
  const opened: Pieces[] = []
  let first: StoredVersion | null = null
  for (const source of sources) {
    // Several may have the same one: each counts once.
    if (failed.has(source) || opened.length === data || opened.some((pieces) => pieces.source.index === source.index)) continue
    try {
      const { stored, body } = await source.read()
      const pieces = new Pieces(source, body)
      const isSame: boolean = stored.fragment?.index === source.index && (first === null || (stored.fragment.object.etag === first.fragment?.object.etag && stored.size_bytes === first.size_bytes))
      if (isSame) opened.push(pieces)
      else await pieces.close()
      first ??= isSame ? stored : null
    } catch {
      failed.add(source)
    }
  }
  if (first !== null && opened.length === data) return { stored: first, opened }
  for (const pieces of opened) await pieces.close()
  throw new Fault('unavailable', `only ${opened.length} of ${data} fragments of ${hash} can be read`)
}

async function* computed(index: number, { fragment }: StoredVersion, opened: readonly Pieces[], failed: Set<Source>, paced: (bytes: number) => Promise<void>): AsyncGenerator<Uint8Array> {
  if (fragment === undefined) return
  const { scheme, object } = fragment
  const code = codeOf(scheme)
  const from = opened.map((pieces) => pieces.source.index)
  for (let segment = 0; segment * scheme.segment_bytes < object.size_bytes; segment++) {
    const size = fragmentBytes(scheme, segmentLength(scheme, object.size_bytes, segment))
    await paced(size)
    const parts = await Promise.all(opened.map((pieces) => pieces.take(size).catch((error: unknown) => {
      failed.add(pieces.source)
      throw error
    })))
    yield code.rebuild(index, from, parts)
  }
}
