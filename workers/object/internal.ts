/** Object storage for the plane's other services (images, backups): no token, no HTTP; the account and container come into being with the first write. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectHead } from '../../schema/agent/protocol.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { systemClock } from '../../schema/values/time.ts'
import { forgetContainer } from './known.ts'
import { type ObjectName, containerKey } from './names.ts'
import { bodyOf, openStored } from './object/read.ts'
import { beginWrite, commitWrite, removeObject } from './object/write.ts'

export interface InternalPut {
  /** null: not known beforehand. */
  size?: number | null
  want?: { sha512?: boolean; inspect?: boolean }
  /** Without the X-Object-Meta- prefix. */
  metadata?: Record<string, string>
  content_type?: string
}

const now = (env: Env): number => (env.SIM?.clock ?? systemClock).now_ms()

/** Writes (or overwrites) an object; resolves when a quorum of disks and the listing have it. */
export async function putInternal(env: Env, account: string, container: string, object: string, body: ReadableStream<Uint8Array> | Uint8Array | null, options: InternalPut = {}): Promise<ObjectHead> {
  const name: ObjectName = { account, container, object }
  const begun = await beginWrite(env, name).catch(async (error) => {
    if (!isFault(error, 'not_found')) throw error
    await env.CONTAINER.getByName(containerKey(account, container)).put(account, container, null, {})
    forgetContainer(env, account, container)
    return await beginWrite(env, name)
  })
  const metadata = Object.fromEntries(Object.entries(options.metadata ?? {}).map(([key, value]) => [`X-Object-Meta-${key}`, value]))
  const size = options.size ?? (body instanceof Uint8Array ? body.byteLength : null)
  return await commitWrite(env, begun, body, { metadata, content_type: options.content_type ?? 'application/octet-stream', size, etag: null, ...(options.want === undefined ? {} : { want: options.want }) }, now(env))
}

/** The object and its bytes (`range`: both inclusive); Fault not_found where there is none. */
export async function getInternal(env: Env, account: string, container: string, object: string, range: [number, number] | null = null): Promise<{ head: ObjectHead; body: ReadableStream<Uint8Array> }> {
  const opened = await openStored(env, { account, container, object }, range === null, now(env))
  if (opened === null) throw new Fault('not_found', `Object ${container}/${object} could not be found.`)
  return { head: opened.head, body: bodyOf(await opened.open(range)) }
}

/** Idempotent: false where it was gone already. */
export async function deleteInternal(env: Env, account: string, container: string, object: string): Promise<boolean> {
  try {
    return await removeObject(env, { account, container, object }, now(env))
  } catch (error) {
    if (isFault(error, 'not_found')) return false
    throw error
  }
}
