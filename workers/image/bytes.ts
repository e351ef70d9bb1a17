/**
 * Where images' bytes are kept: the `object` store (the cloud's own Swift, in the image service's account) or the `file` store (a directory of a host with the
 * image role, by the same byte path as an object disk). Bytes stream through untouched; the host hashes and inspects them while it writes.
 */
import { createHash } from 'node:crypto'
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectArgs, ObjectHead } from '../../schema/agent/protocol.ts'
import type { ImageLocation } from '../../schema/project/image.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { onRegion } from '../../durable-objects/kernel/sessions.ts'
import { deleteInternal, getInternal, putInternal } from '../object/internal.ts'

export const STORES = ['object', 'file'] as const
export type StoreName = (typeof STORES)[number]
export const CONTAINER = 'glance'
/** Device of a host that is no ring's: the file store's directory. */
export const FILE_DEVICE = 'images'

interface ImageOptions {
  account?: string
  default_store?: StoreName
}

const optionsOf = (env: Env): ImageOptions => (env.OPTIONS ? ((JSON.parse(env.OPTIONS) as { image?: ImageOptions }).image ?? {}) : {})
/** A reserved name: no project has this id, so no token reaches it. */
export const imageAccount = (env: Env): string => optionsOf(env).account ?? 'AUTH_service'
export const defaultStore = (env: Env): StoreName => optionsOf(env).default_store ?? 'object'

/** Stores that can be written now. */
export async function storesNow(env: Env, requestId: string): Promise<{ id: StoreName; description: string; default?: true }[]> {
  const hosts = await onRegion(env, requestId, (region) => region.hosts.available('image'))
  const standard = defaultStore(env)
  const all = [{ id: 'object' as const, description: "The cloud's own object store." }, ...(hosts.length > 0 ? [{ id: 'file' as const, description: 'A directory of a host with the image role.' }] : [])]
  return all.map((store) => (store.id === standard ? { ...store, default: true as const } : store))
}

export async function choosePlace(env: Env, store: string, requestId: string): Promise<Omit<ImageLocation, 'name'>> {
  if (store === 'object') return { store }
  if (store !== 'file') throw new Fault('bad_request', `Invalid backend id: '${store}'`)
  const hosts = await onRegion(env, requestId, (region) => region.hosts.available('image'))
  const host = hosts[0]
  if (host === undefined) throw new Fault('unavailable', 'No host with the image role is up: the file store cannot be written now.')
  return { store, host_id: host.id }
}

const fileArgs = (name: string, now_ms: number): ObjectArgs => ({
  device: FILE_DEVICE, policy: 0, partition: 0, hash: createHash('md5').update(`/images/${CONTAINER}/${name}`).digest('hex'), name: `/images/${CONTAINER}/${name}`, timestamp: (now_ms / 1000).toFixed(5).padStart(16, '0'),
})

const hostOf = (env: Env, location: ImageLocation) => env.HOST.getByName(location.host_id ?? '')

export async function putBytes(env: Env, location: ImageLocation, body: ReadableStream<Uint8Array>, size_bytes: number | null, now_ms: number): Promise<ObjectHead> {
  const want = { sha512: true, inspect: true }
  if (location.store === 'object') return await putInternal(env, imageAccount(env), CONTAINER, location.name, body, { size: size_bytes, want })
  return await hostOf(env, location).objectPut({ ...fileArgs(location.name, now_ms), size_bytes, want, metadata: { 'Content-Type': 'application/octet-stream' } }, body)
}

/** `range`: first and last byte, inclusive, within the size. */
export async function getBytes(env: Env, location: ImageLocation, range: [number, number] | null, now_ms: number): Promise<ReadableStream<Uint8Array>> {
  if (location.store === 'object') return (await getInternal(env, imageAccount(env), CONTAINER, location.name, range)).body
  return (await hostOf(env, location).objectGet({ ...fileArgs(location.name, now_ms), range })).body
}

/** Already gone is a success. */
export async function deleteBytes(env: Env, location: ImageLocation, now_ms: number): Promise<void> {
  try {
    if (location.store === 'object') await deleteInternal(env, imageAccount(env), CONTAINER, location.name)
    else await hostOf(env, location).objectDelete(fileArgs(location.name, now_ms))
  } catch (error) {
    if (!isFault(error, 'not_found')) throw error
  }
}
