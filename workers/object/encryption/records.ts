/** What hosts keep for the plane of encrypted objects, and what auditors tell of them: closed and opened here, where the keys are. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { ListingEntry, ListingUpdate } from '../../../schema/agent/replication.ts'
import { openRecord, openText, type SealedText, sealText } from '../../../schema/agent/sealing.ts'
import { type Random, systemRandom } from '../../../schema/values/random.ts'
import type { ObjectName } from '../names.ts'
import { sealingOf } from './keymaster.ts'

const boundTo = ({ account, container, object, op, timestamp }: ListingUpdate): string => JSON.stringify(['update', account, container, object, op, timestamp])

interface SealedRow {
  sealed: SealedText
}

const isSealedRow = (row: object): row is SealedRow => 'sealed' in row && typeof row.sealed === 'object' && row.sealed !== null

/** A row that a host keeps for a while has the ETag in it: it lies on the same disk as the object. */
export async function closeUpdate(env: Env, update: ListingUpdate): Promise<ListingUpdate> {
  const sealing = update.row === undefined ? undefined : await sealingOf(env, update)
  if (sealing === undefined || sealing.keys.length === 0) return update
  const random: Pick<Random, 'bytes'> = env.SIM?.random ?? systemRandom
  const row: SealedRow = { sealed: sealText(JSON.stringify(update.row), sealing.keys, boundTo(update), random) }
  return { ...update, row }
}

export async function openUpdate(env: Env, update: ListingUpdate): Promise<ListingUpdate> {
  if (update.row === undefined || !isSealedRow(update.row)) return update
  const sealing = await sealingOf(env, update)
  return { ...update, row: JSON.parse(openText(update.row.sealed, sealing?.keys ?? [], boundTo(update))) as object }
}

/** What an auditor met, with its metadata readable. Throws where its key is not there or does not fit. */
export async function openEntry(env: Env, entry: ListingEntry, name: ObjectName): Promise<ListingEntry> {
  if (entry.sealed === undefined) return entry
  const sealing = await sealingOf(env, name)
  const stored = { name: entry.name, timestamp: entry.timestamp, size_bytes: entry.size_bytes, sealed: { ...entry.sealed, sum: 0 } }
  const record = openRecord('data', stored, sealing?.keys ?? [])
  return { ...entry, etag: record?.etag ?? '', metadata: record?.metadata ?? {} }
}
