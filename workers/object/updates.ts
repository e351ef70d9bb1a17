/**
 * Listings that were not told in time: updates kept by hosts after a write that the disks have, and what auditors met on disks and no listing knows. Both go by timestamps alone,
 * so each may come twice, late, or in any order.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ListingEntry, ListingUpdate } from '../../schema/agent/replication.ts'
import { isFault } from '../../schema/values/fault.ts'
import type { ObjectRow } from './container/store.ts'
import { openEntry, openUpdate } from './encryption/records.ts'
import { metaOf } from './headers.ts'
import { containerKey, type ObjectName } from './names.ts'
import { sloOf } from './object/large.ts'
import { isFuture } from './timestamp.ts'

const TIMESTAMP = /^\d{10}\.\d{5}$/

const containerOf = (env: Env, account: string, container: string) => env.CONTAINER.getByName(containerKey(account, container))

/** The times that a host names are as much as it is trusted with, and none of the future. */
const isHonest = (now_ms: number, ...times: (string | null | undefined)[]): boolean => times.every((time) => time == null || (TIMESTAMP.test(time) && !isFuture(time, now_ms)))

/** True where it needs not be told again: the container has it, has something newer, or is gone. */
export async function applyUpdate(env: Env, kept: ListingUpdate, now_ms: number): Promise<boolean> {
  const update = await openUpdate(env, kept).catch(() => null)
  // Its key may come back; until then the host keeps it.
  if (update === null) return false
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

/** The path that is stored with an object. Null for what is none, and for the bytes of a version, which lie under a name of their own. */
function nameOf(path: string): ObjectName | null {
  const match = /^\/([^/]+)\/([^/]+)\/(.+)$/s.exec(path)
  if (match === null) return null
  const [, account = '', container = '', object = ''] = match
  return container.includes('\0') ? null : { account, container, object }
}

/** How a stored object is listed. */
function rowOf(entry: ListingEntry, { object: name }: ObjectName): ObjectRow {
  const deleteAt = Number(metaOf(entry.metadata, 'x-delete-at') ?? Number.NaN)
  const { slo, extra } = sloOf(entry.metadata)
  return {
    name, at: entry.timestamp, modified_at: entry.posted ?? entry.timestamp, size: entry.size_bytes, etag: entry.etag, content_type: metaOf(entry.metadata, 'content-type') ?? 'application/octet-stream',
    delete_at: Number.isFinite(deleteAt) ? deleteAt : null, slo_etag: slo?.etag ?? null, slo_size: slo?.size ?? null, version: '', extra: extra ?? null,
  }
}

/** Holds what disks have against the listings; answers how many rows were wrong. */
export async function checkListings(env: Env, entries: readonly ListingEntry[], now_ms: number): Promise<{ changed: number; orphans: number }> {
  const groups = new Map<string, { account: string; container: string; rows: { kind: 'data' | 'ts'; row: ObjectRow }[] }>()
  for (const entry of entries) {
    const name = nameOf(entry.name)
    if (name === null || !isHonest(now_ms, entry.timestamp, entry.posted)) continue
    // What can't be opened can't be listed: it is told again with the next pass.
    const opened = await openEntry(env, entry, name).catch(() => null)
    if (opened === null) continue
    const key = containerKey(name.account, name.container)
    const group = groups.get(key) ?? { account: name.account, container: name.container, rows: [] }
    group.rows.push({ kind: entry.kind, row: rowOf(opened, name) })
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
