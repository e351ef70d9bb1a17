/**
 * Listings that were not told in time: updates kept by hosts after a write that the disks have, and what auditors met on disks and no listing knows. Both go by timestamps alone,
 * so each may come twice, late, or in any order.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ListingEntry, ListingUpdate } from '../../schema/agent/replication.ts'
import { isFault } from '../../schema/values/fault.ts'
import type { ObjectRow } from './container/store.ts'
import { metaOf } from './headers.ts'
import { containerKey } from './names.ts'
import { sloOf } from './object/large.ts'
import { isFuture } from './timestamp.ts'

const TIMESTAMP = /^\d{10}\.\d{5}$/

const containerOf = (env: Env, account: string, container: string) => env.CONTAINER.getByName(containerKey(account, container))

/** The times that a host names are as much as it is trusted with, and none of the future. */
const isHonest = (now_ms: number, ...times: (string | null | undefined)[]): boolean => times.every((time) => time == null || (TIMESTAMP.test(time) && !isFuture(time, now_ms)))

/** True where it needs not be told again: the container has it, has something newer, or is gone. */
export async function applyUpdate(env: Env, update: ListingUpdate, now_ms: number): Promise<boolean> {
  const container = containerOf(env, update.account, update.container)
  const row = (update.row ?? {}) as Partial<ObjectRow>
  if (!isHonest(now_ms, update.timestamp, row.at, row.modified_at)) return false
  try {
    if (update.op === 'put') await container.putObject(row as ObjectRow)
    else if (update.op === 'delete') await container.deleteObject(update.object, update.timestamp)
    else await container.postObject(update.object, update.timestamp, row.content_type ?? null, row.delete_at ?? null)
    return true
  } catch (error) {
    return isFault(error, 'not_found')
  }
}

/** How a stored object is listed. Null for what is no path of an object. */
export function rowOf(entry: ListingEntry): { account: string; container: string; row: ObjectRow } | null {
  const match = /^\/([^/]+)\/([^/]+)\/(.+)$/s.exec(entry.name)
  if (match === null) return null
  const [, account = '', container = '', name = ''] = match
  // The bytes of a version lie under a name of their own.
  if (container.includes('\0')) return null
  const deleteAt = Number(metaOf(entry.metadata, 'x-delete-at') ?? Number.NaN)
  const { slo, extra } = sloOf(entry.metadata)
  return {
    account, container,
    row: {
      name, at: entry.timestamp, modified_at: entry.posted ?? entry.timestamp, size: entry.size_bytes, etag: entry.etag, content_type: metaOf(entry.metadata, 'content-type') ?? 'application/octet-stream',
      delete_at: Number.isFinite(deleteAt) ? deleteAt : null, slo_etag: slo?.etag ?? null, slo_size: slo?.size ?? null, version: '', extra: extra ?? null,
    },
  }
}

/** Holds what disks have against the listings; answers how many rows were wrong. */
export async function checkListings(env: Env, entries: readonly ListingEntry[], now_ms: number): Promise<{ changed: number; orphans: number }> {
  const groups = new Map<string, { account: string; container: string; rows: { kind: 'data' | 'ts'; row: ObjectRow }[] }>()
  for (const entry of entries) {
    const found = rowOf(entry)
    if (found === null || !isHonest(now_ms, entry.timestamp, entry.posted)) continue
    const key = containerKey(found.account, found.container)
    const group = groups.get(key) ?? { account: found.account, container: found.container, rows: [] }
    group.rows.push({ kind: entry.kind, row: found.row })
    groups.set(key, group)
  }
  const result = { changed: 0, orphans: 0 }
  for (const { account, container, rows } of groups.values()) {
    try {
      result.changed += await containerOf(env, account, container).reconcile(rows)
    } catch (error) {
      if (!isFault(error, 'not_found')) throw error
      result.orphans += rows.filter(({ kind }) => kind === 'data').length
    }
  }
  return result
}
