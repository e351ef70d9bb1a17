/**
 * Listings that were not told in time: updates kept by hosts after a write that the disks have, and what auditors met on disks and no listing knows. Both go by timestamps alone,
 * so each may come twice, late, or in any order. Both are a host's word: held against the other replicas first (belief.ts), and rows are made of what those say.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectHead } from '../../schema/agent/protocol.ts'
import type { ListingEntry, ListingUpdate } from '../../schema/agent/replication.ts'
import { isFault } from '../../schema/values/fault.ts'
import { believe, mayKnow } from './belief.ts'
import { type ObjectRow, storedName } from './container/rows.ts'
import { openEntry, openUpdate } from './encryption/records.ts'
import { metaOf } from './headers.ts'
import { containerKey, type ObjectName } from './names.ts'
import { sloOf } from './object/large.ts'
import { locate, ringDevices } from './placement.ts'
import { markedText } from './mark.ts'
import { isFuture } from './timestamp.ts'

/** Entries of one call that are held against other replicas; the rest is met again by the next pass. */
export const CHECKS_MAX = 100

const TIMESTAMP = /^\d{10}\.\d{5}$/

const containerOf = (env: Env, account: string, container: string) => env.CONTAINER.getByName(containerKey(account, container))

/** The times that a host names are as much as it is trusted with, and none of the future. */
const isHonest = (now_ms: number, ...times: (string | null | undefined)[]): boolean => times.every((time) => time == null || (TIMESTAMP.test(time) && !isFuture(time, now_ms)))

async function isOfHost(env: Env, hostId: string, name: ObjectName, policy: number, now_ms: number): Promise<boolean> {
  return mayKnow(await locate(env, name, policy, now_ms), hostId, await ringDevices(env, policy, now_ms))
}

/** True where it needs not be told again: the container has it, has something newer, or is gone. */
export async function applyUpdate(env: Env, hostId: string, kept: ListingUpdate, now_ms: number): Promise<boolean> {
  const update = await openUpdate(env, kept).catch(() => null)
  // Its key may come back; until then the host keeps it.
  if (update === null) return false
  const row = (update.row ?? {}) as Partial<ObjectRow>
  if (!isHonest(now_ms, update.timestamp, row.at, row.modified_at)) return false
  const name: ObjectName = { account: update.account, container: update.container, object: update.object }
  const container = containerOf(env, update.account, update.container)
  try {
    const info = await container.info()
    if (info === null) return true
    if (!(await isOfHost(env, hostId, name, info.policy, now_ms))) return false
    const version = update.op === 'put' ? String(row.version ?? '') : update.op === 'post' ? ((await container.object(update.object))?.version ?? '') : ''
    const kind = update.op === 'put' ? 'data' : update.op === 'post' ? 'meta' : 'ts'
    const verdict = await believe(env, hostId, { name: storedName(name, version), policy: info.policy, kind, at: update.timestamp }, now_ms)
    if (verdict.belief !== 'so') return verdict.belief === 'stale'
    if (update.op === 'delete') await container.deleteObject(update.object, update.timestamp)
    else if (update.op === 'post') await post(container, update, verdict.head)
    else await container.putObject(await put(env, info.policy, update, version, verdict.head))
    return true
  } catch (error) {
    return isFault(error, 'not_found')
  }
}

/** What a dialect keeps with a row (rights, locks) is on no disk: the plane's own word is needed for it. */
async function put(env: Env, policy: number, update: ListingUpdate, version: string, head: ObjectHead | null): Promise<ObjectRow> {
  const told = update.row as ObjectRow
  const isMarked = update.mark !== undefined && (await env.RING.getByName(String(policy)).isMarked(markedText(update), update.mark))
  if (isMarked || head === null) return { ...told, name: update.object, at: update.timestamp, version }
  return { ...rowOfHead(update.object, head), at: update.timestamp, version }
}

async function post(container: ReturnType<typeof containerOf>, update: ListingUpdate, head: ObjectHead | null): Promise<void> {
  const told = (update.row ?? {}) as Partial<ObjectRow>
  const row = head === null ? { modified_at: update.timestamp, content_type: told.content_type ?? null, delete_at: told.delete_at ?? null } : rowOfHead(update.object, head)
  await container.postObject(update.object, row.modified_at, row.content_type, row.delete_at)
}

type Described = Pick<ListingEntry, 'timestamp' | 'posted' | 'size_bytes' | 'etag' | 'metadata'>

function described(name: string, { timestamp, posted, size_bytes, etag, metadata }: Described): ObjectRow {
  const deleteAt = Number(metaOf(metadata, 'x-delete-at') ?? Number.NaN)
  const { slo, extra } = sloOf(metadata)
  return {
    name, at: timestamp, modified_at: posted ?? timestamp, size: size_bytes, etag, content_type: metaOf(metadata, 'content-type') ?? 'application/octet-stream',
    delete_at: Number.isFinite(deleteAt) ? deleteAt : null, slo_etag: slo?.etag ?? null, slo_size: slo?.size ?? null, version: '', extra: extra ?? null,
  }
}

const rowOfHead = (name: string, head: ObjectHead): ObjectRow => described(name, { ...head, timestamp: head.data_at ?? head.timestamp, posted: head.timestamp })

/** The path that is stored with an object. Null for what is none, and for the bytes of a version, which lie under a name of their own. */
function nameOf(path: string): ObjectName | null {
  const match = /^\/([^/]+)\/([^/]+)\/(.+)$/s.exec(path)
  if (match === null) return null
  const [, account = '', container = '', object = ''] = match
  return container.includes('\0') ? null : { account, container, object }
}

interface Met {
  kind: 'data' | 'ts'
  policy: number
  row: ObjectRow
}

/** Holds what a host's disks have against the listings, and what differs against the other replicas; answers how many rows were wrong. */
export async function checkListings(env: Env, hostId: string, entries: readonly ListingEntry[], now_ms: number): Promise<{ changed: number; orphans: number }> {
  const groups = new Map<string, { account: string; container: string; met: Met[] }>()
  for (const entry of entries) {
    const name = nameOf(entry.name)
    if (name === null || !isHonest(now_ms, entry.timestamp, entry.posted)) continue
    // What can't be opened can't be listed: it is told again with the next pass.
    const opened = await openEntry(env, entry, name).catch(() => null)
    if (opened === null) continue
    const key = containerKey(name.account, name.container)
    const group = groups.get(key) ?? { account: name.account, container: name.container, met: [] }
    group.met.push({ kind: entry.kind, policy: entry.policy, row: described(name.object, opened) })
    groups.set(key, group)
  }
  const result = { changed: 0, orphans: 0 }
  let checks = 0
  for (const { account, container, met } of groups.values()) {
    const listing = containerOf(env, account, container)
    const info = await listing.info()
    if (info === null) {
      result.orphans += met.filter(({ kind }) => kind === 'data').length
      continue
    }
    try {
      const wrong = await listing.wrongAmong(met.filter((one) => one.policy === info.policy).map(({ kind, row }) => ({ kind, row })))
      const believed: { kind: 'data' | 'ts'; row: ObjectRow }[] = []
      for (const one of wrong) {
        if (checks++ >= CHECKS_MAX) break
        const name: ObjectName = { account, container, object: one.row.name }
        if (!(await isOfHost(env, hostId, name, info.policy, now_ms))) continue
        const verdict = await believe(env, hostId, { name, policy: info.policy, kind: one.kind, at: one.row.at }, now_ms)
        if (verdict.belief === 'so') believed.push({ kind: one.kind, row: verdict.head === null ? one.row : { ...rowOfHead(one.row.name, verdict.head), at: one.row.at } })
      }
      if (believed.length > 0) result.changed += await listing.reconcile(believed)
    } catch (error) {
      if (!isFault(error, 'not_found')) throw error
    }
  }
  return result
}
