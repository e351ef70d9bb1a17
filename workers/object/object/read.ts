/**
 * Reading an object as a client sees it: plain bytes, or a large object whose manifest (static or dynamic) is followed. What comes out has a size, an ETag and a way to
 * get any range as a stream; GET, COPY and other services use the same.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { ObjectHead } from '../../../schema/agent/protocol.ts'
import { storedName, versionId, versioningOf } from '../container/rows.ts'
import { type Metadata, metaOf } from '../headers.ts'
import { knownContainer } from '../known.ts'
import { type ObjectName, containerKey } from '../names.ts'
import { type Body as AnyBody, type Found, getReplicas, headReplicas, openRange, streamOf } from '../replicas.ts'

export type Body = ReadableStream<Uint8Array>

/** Bytes to come: as a stream, in hand, or one source after another (kept apart until they are sent, however deep manifests nest). */
export type Source = Body | Uint8Array | Chain
export interface Chain {
  parts: (() => Promise<Source>)[]
  length: number
}

export interface Opened {
  head: ObjectHead
  metadata: Metadata
  /** As the client sees it, quotes included where it is a large object's. */
  etag: string
  size: number
  content_type: string
  timestamp: string
  /** Of an object in a container that is or was versioned. */
  version: string | null
  kind: 'plain' | 'slo' | 'dlo' | 'manifest'
  /** Bytes of each segment of a static large object. */
  parts?: number[]
  /** Path of what a symbolic link led to. */
  location?: string
  /** Both inclusive; null is all. One stream per call. */
  open(range: [number, number] | null): Promise<Source>
  /** Frees what was opened in advance and will not be read. */
  drop(): void
}

export const expiredAt = (metadata: Metadata, now_ms: number): boolean => {
  const at = metaOf(metadata, 'x-delete-at')
  return at !== undefined && Number(at) * 1000 <= now_ms
}

/** Which ring and which name the bytes have: the container's policy, and the version that is asked for. Only a versioned container is asked for each object. */
async function placeOf(env: Env, name: ObjectName, version: string | undefined, now_ms: number): Promise<{ policy: number; stored: ObjectName; version: string | null } | null> {
  const info = await knownContainer(env, name.account, name.container, now_ms)
  if (info === null) return null
  if (versioningOf(info) === 'never') return version === undefined || version === 'null' ? { policy: info.policy, stored: name, version: null } : null
  const container = env.CONTAINER.getByName(containerKey(name.account, name.container))
  const row = version === undefined ? await container.latest(name.object) : await container.version(name.object, version)
  return row === null || row.deleted || (version === undefined && !row.is_latest) ? null : { policy: info.policy, stored: storedName(name, row.version), version: versionId(row.version) }
}

/** The stored object itself (or the given version of it), manifests not followed. `withBody`: its bytes are opened with the same question. */
export async function openStored(env: Env, name: ObjectName, withBody: boolean, now_ms: number, version?: string): Promise<Opened | null> {
  const place = await placeOf(env, name, version, now_ms)
  if (place === null) return null
  const { policy, stored } = place
  const found: (Found & { body?: AnyBody }) | null = withBody ? await getReplicas(env, stored, policy, now_ms) : await headReplicas(env, stored, policy, now_ms)
  if (found === null) return null
  let body = found.body
  const drop = () => {
    if (body instanceof ReadableStream) void body.cancel().catch(() => {})
    body = undefined
  }
  const { head } = found
  if (expiredAt(head.metadata, now_ms)) {
    drop()
    return null
  }
  return {
    head, metadata: head.metadata, etag: head.etag, size: head.size_bytes, content_type: metaOf(head.metadata, 'content-type') ?? 'application/octet-stream', timestamp: head.timestamp, version: place.version, kind: 'plain', drop,
    open: async (range) => {
      if (range === null && body !== undefined) {
        const ready = body
        body = undefined
        return ready
      }
      drop()
      return await openRange(env, found, range, now_ms)
    },
  }
}

export async function readText(opened: Opened, bytes_max: number): Promise<string> {
  if (opened.head.size_bytes > bytes_max) throw new Error(`a manifest of ${opened.head.size_bytes} bytes is too large`)
  return await new Response(bodyOf(await opened.open(null)) as never).text()
}

type Stream = { readable: Body; writable: WritableStream<Uint8Array> }
const platform = globalThis as unknown as { FixedLengthStream?: new (length: number) => Stream }

/** A pipe that the platform moves natively where it can, its length known beforehand so that the answer has a Content-Length. */
const pipe = (length: number): Stream => (platform.FixedLengthStream === undefined ? (new TransformStream() as never) : new platform.FixedLengthStream(length))

/** Streams that came out of a pipe of known length. */
const sizedStreams = new WeakSet<object>()

export function fixed(body: Body, length: number): Body {
  if (platform.FixedLengthStream === undefined || sizedStreams.has(body)) return body
  const { readable, writable } = pipe(length)
  void body.pipeTo(writable as never).catch(() => {})
  return readable
}

/** What can be sent. A chain becomes one pipe; never a pipe into a pipe: workerd lets two of its own starve. */
export function bodyOf(source: Source): Body {
  if (source instanceof Uint8Array) return streamOf(source)
  if (source instanceof ReadableStream) return source
  const { readable, writable } = pipe(source.length)
  sizedStreams.add(readable)
  const feed = async (parts: Chain['parts']): Promise<void> => {
    for (const open of parts) {
      const part = await open()
      if (part instanceof Uint8Array) {
        const writer = writable.getWriter()
        await writer.write(part)
        writer.releaseLock()
      } else if (part instanceof ReadableStream) await part.pipeTo(writable as never, { preventClose: true })
      else await feed(part.parts)
    }
  }
  void feed(source.parts).then(() => writable.close(), (error) => writable.abort(error)).catch(() => {})
  return readable
}
