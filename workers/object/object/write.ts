/**
 * Writing an object: a time from its container, its replicas, then its row in the listing. The same few steps for a client's PUT, copies, manifests, archives, forms
 * and other services. Nothing is acknowledged before both a quorum of replicas and the container have it.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { ObjectHead, ObjectWants } from '../../../schema/agent/protocol.ts'
import type { ListingUpdate } from '../../../schema/agent/replication.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { type ContainerInfo, type ObjectRow, storedName, versioningOf } from '../container/rows.ts'
import { sealsContainer } from '../encryption/keymaster.ts'
import { swiftFault } from '../errors.ts'
import { LIMITS, type Metadata, metaOf } from '../headers.ts'
import { type ObjectName, containerKey } from '../names.ts'
import { deferUpdate, deleteReplicas, putReplicas } from '../replicas.ts'
import { isLocked } from '../s3/object/lock.ts'

export interface Begun {
  name: ObjectName
  info: ContainerInfo
  timestamp: string
  existing: ObjectRow | null
}

export interface WriteOptions {
  metadata: Metadata
  content_type: string
  size: number | null
  etag: string | null
  want?: ObjectWants
  /** Encrypted where the deployment's setting is not to. */
  seal?: boolean
  /** A static manifest: the bytes and the ETag of what it stands for. */
  slo?: { size: number; etag: string }
  /** Kept with the listing's row; may depend on what the hosts found in the bytes. */
  extra?: Record<string, string> | ((head: ObjectHead) => Record<string, string>)
}

/** Tries at the container's row before a write that the disks have is given up. */
const ROW_ATTEMPTS = 3

/** Opens a write; 404 where the container is not there. */
export async function beginWrite(env: Env, name: ObjectName): Promise<Begun> {
  const begun = await env.CONTAINER.getByName(containerKey(name.account, name.container)).begin(name.object)
  if (begun === null) throw swiftFault(404)
  return { name, ...begun }
}

/** A write that lost against a newer one: accepted, and already overwritten. */
const superseded = () => new Fault('conflict', 'A newer version of the object is there.', { type: 'Superseded' })
export const isSuperseded = (error: unknown): boolean => isFault(error, 'conflict') && error.type === 'Superseded'

export async function commitWrite(env: Env, begun: Begun, body: ReadableStream<Uint8Array> | Uint8Array | null, options: WriteOptions, now_ms: number): Promise<ObjectHead> {
  const { name, info, timestamp } = begun
  const metadata: Metadata = { 'Content-Type': options.content_type, ...options.metadata }
  const version = versionWritten(begun)
  const stored = storedName(name, version)
  const seal = options.seal ?? sealsContainer(info.metadata)
  let head: ObjectHead
  try {
    head = await putReplicas(env, stored, info.policy, body, { timestamp, metadata, size: options.size, etag: options.etag, ...(options.want === undefined ? {} : { want: options.want }), ...(seal === undefined ? {} : { seal }) }, now_ms)
  } catch (error) {
    throw bodyFault(error)
  }
  if (head.size_bytes > LIMITS.max_file_size) {
    await deleteReplicas(env, stored, info.policy, after(timestamp), now_ms)
    throw swiftFault(413)
  }
  const deleteAt = metaOf(metadata, 'x-delete-at')
  const row: ObjectRow = {
    name: name.object, at: timestamp, modified_at: timestamp, size: head.size_bytes, etag: head.etag, content_type: options.content_type,
    delete_at: deleteAt === undefined ? null : Number(deleteAt), slo_etag: options.slo?.etag ?? null, slo_size: options.slo?.size ?? null, version, extra: (typeof options.extra === 'function' ? options.extra(head) : options.extra) ?? null,
  }
  try {
    await tellListing(env, name, info.policy, { op: 'put', timestamp, row }, () => enterRow(env, name, row), now_ms)
  } catch (error) {
    // The container went away meanwhile: what it can't list must not be there either.
    if (isFault(error, 'not_found')) await deleteReplicas(env, stored, info.policy, after(timestamp), now_ms).catch(() => {})
    throw error
  }
  return { ...head, timestamp }
}

/** The id of the version that a write makes; '' is the null version. */
export const versionWritten = ({ info, timestamp }: Pick<Begun, 'info' | 'timestamp'>): string => (versioningOf(info) === 'enabled' ? timestamp : '')

const after = (timestamp: string): string => `${timestamp.slice(0, -5)}${String(Math.min(99_999, Number(timestamp.slice(-5)) + 1)).padStart(5, '0')}`

function bodyFault(error: unknown): unknown {
  if (isFault(error, 'conflict')) return superseded()
  if (isFault(error, 'unprocessable')) return swiftFault(422)
  if (isFault(error, 'client_closed')) return swiftFault(499)
  return error
}

async function enterRow(env: Env, name: ObjectName, row: ObjectRow): Promise<void> {
  const entered = await env.CONTAINER.getByName(containerKey(name.account, name.container)).putObject(row)
  if (!entered) throw superseded()
}

/**
 * Tells the container what the disks have. One that can't be told now is told later: the hosts of the object keep word for it. So the client's answer depends on
 * either of both, and an acknowledged write is listed in the end.
 */
export async function tellListing<T>(env: Env, name: ObjectName, policy: number, update: Pick<ListingUpdate, 'op' | 'timestamp' | 'row'>, tell: () => Promise<T>, now_ms: number): Promise<T | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tell()
    } catch (error) {
      if (isSuperseded(error) || isFault(error, 'not_found')) throw error
      if (attempt < ROW_ATTEMPTS) continue
      if (await deferUpdate(env, name, policy, { ...name, ...update }, now_ms)) return null
      throw error
    }
  }
}

/** Both at once for those with nothing to check in between. */
export async function writeObject(env: Env, name: ObjectName, body: ReadableStream<Uint8Array> | Uint8Array | null, options: WriteOptions, now_ms: number): Promise<ObjectHead> {
  return await commitWrite(env, await beginWrite(env, name), body, options, now_ms)
}

/** Removes what is current; false where there was no such object. */
export async function removeObject(env: Env, name: ObjectName, now_ms: number, begun?: Begun): Promise<boolean> {
  return (await removeCurrent(env, begun ?? (await beginWrite(env, name)), now_ms)).existed
}

/** A versioned container keeps the bytes and gets a marker; any other one tombstones on the disks, then no row. */
export async function removeCurrent(env: Env, begun: Begun, now_ms: number): Promise<{ existed: boolean; marker: string | null }> {
  const { name, info, timestamp, existing } = begun
  const container = env.CONTAINER.getByName(containerKey(name.account, name.container))
  const expired = existing?.delete_at != null && existing.delete_at * 1000 <= now_ms
  const versioning = versioningOf(info)
  if (versioning === 'enabled') {
    await container.markDeleted(name.object, timestamp, timestamp)
    return { existed: existing !== null && !expired, marker: timestamp }
  }
  if (versioning === 'suspended' && (existing === null || existing.version !== '')) {
    await container.unlinkVersion(name.object)
    return { existed: existing !== null && !expired, marker: null }
  }
  const existed = await removeBytes(env, name, '', info.policy, timestamp, now_ms)
  const listed = await tellListing(env, name, info.policy, { op: 'delete', timestamp }, () => container.deleteObject(name.object, timestamp), now_ms)
  return { existed: (existed || listed === true) && !expired, marker: null }
}

/** The bytes of one version, then its row. `heir`: see the store; `bypass`: passes over a lock in governance mode. Null where there is no such version; `latest`: it was what the name stood for. */
export async function removeVersion(env: Env, begun: Begun, id: string, heir: boolean, now_ms: number, bypass = false): Promise<{ deleted: boolean; latest: boolean } | null> {
  const { name, info, timestamp } = begun
  const container = env.CONTAINER.getByName(containerKey(name.account, name.container))
  const found = await container.version(name.object, id)
  if (found === null) return null
  if (isLocked(found.extra, now_ms, bypass)) throw swiftFault(403)
  if (!found.deleted) await removeBytes(env, name, found.version, info.policy, timestamp, now_ms)
  await container.removeVersion(name.object, found.version, heir)
  return { deleted: found.deleted, latest: found.is_latest }
}

async function removeBytes(env: Env, name: ObjectName, version: string, policy: number, timestamp: string, now_ms: number): Promise<boolean> {
  try {
    return (await deleteReplicas(env, storedName(name, version), policy, timestamp, now_ms)).existed
  } catch (error) {
    if (isFault(error, 'conflict')) throw swiftFault(409)
    throw error
  }
}
