/**
 * Sealed records as they lie here, and new ones in their place: the same metadata and the same key of a body, under another root secret. This host opens neither. Bodies are not written
 * anew: a version is cloned (its bytes are shared where the file system can, as XFS does), the clone gets the new record, is synced and renamed over the version: the old one or the new
 * one is there at any instant, and readers of the old one go on.
 */
import { join } from 'node:path'
import type { PartitionAt, SealedAt, VersionAt } from '../../../../schema/agent/replication.ts'
import type { ResealedEntry } from '../../../../schema/agent/sealing.ts'
import { isFault } from '../../../../schema/values/fault.ts'
import { sumOfSealed } from '../sealer.ts'
import { discard, type Draft, type Stored, writeMetadata } from './commit.ts'
import { codeOf, type ObjectDisk, type Where } from './disk.ts'
import { type Resolved, resolve, type Version } from './paths.ts'

/** What lies there of an object, encrypted. What can't be read is the auditor's. */
export async function sealedOf(disk: ObjectDisk, at: PartitionAt & { hash: string }): Promise<SealedAt[]> {
  const found: SealedAt[] = []
  for (const version of versionsOf(resolve(await disk.files(disk.folder(at))))) {
    const stored = await read(disk, at, version)
    if (stored?.sealed === undefined) continue
    const { name, timestamp, size_bytes, fragment, sealed: { root, text, key } } = stored
    const size = fragment?.object.size_bytes ?? size_bytes
    found.push({
      at: { ...at, kind: version.kind, timestamp, ...(version.fragment === null ? {} : { fragment: version.fragment }) }, size_bytes: stored.size_bytes ?? 0,
      entry: { kind: version.kind, name, timestamp, ...(size === undefined ? {} : { size_bytes: size }), sealed: { root, text }, ...(key === undefined || fragment === undefined ? {} : { segments: { mark: fragment.object.etag, key } }) },
    })
  }
  return found
}

const versionsOf = ({ data, meta, fragments }: Resolved): Version[] => [meta, data?.fragment === null ? data : null, ...fragments].filter((version) => version !== null)

async function read(disk: ObjectDisk, at: Where, version: Version): Promise<Stored | null> {
  try {
    return await disk.stored(join(disk.folder(at), version.file), version.trailer)
  } catch (error) {
    // Superseded meanwhile, or damaged.
    if (codeOf(error) === 'ENOENT' || isFault(error, 'internal') || error instanceof SyntaxError) return null
    throw error
  }
}

/** False where the version is no longer there, or its record is not `from` any more. */
export async function reseal(disk: ObjectDisk, at: VersionAt, from: string, to: ResealedEntry): Promise<boolean> {
  const find = (resolved: Resolved) => versionsOf(resolved).find((version) => version.kind === at.kind && version.timestamp === at.timestamp && version.fragment === (at.fragment ?? null))
  const version = find(resolve(await disk.files(disk.folder(at))))
  const stored = version === undefined ? null : await read(disk, at, version)
  if (version === undefined || stored?.sealed === undefined || stored.sealed.text !== from) return false
  await disk.refuseFull(at.device, stored.size_bytes ?? 0)
  const sealed = { ...stored.sealed, ...to.sealed, ...(to.key === undefined ? {} : { key: to.key }) }
  const made = await clone(disk, at, version, { ...stored, sealed: { ...sealed, sum: sumOfSealed(sealed) } })
  return await disk.placeIf(at, made, async (resolved) => {
    // Its acknowledgement may have come meanwhile, or something newer.
    const now = find(resolved)
    if (now === undefined || (await read(disk, at, now))?.sealed?.text !== from) return false
    made.durable = now.durable
    return true
  })
}

async function clone(disk: ObjectDisk, at: VersionAt, version: Version, stored: Stored): Promise<Draft> {
  const { fs } = disk
  const path = disk.tmp(at.device)
  try {
    const file = await fs.clone(join(disk.folder(at), version.file), path, at.kind === 'data' ? (stored.size_bytes ?? 0) : 0)
    try {
      const trailer = await writeMetadata(fs, file, stored)
      await fs.sync(file)
      return { path, kind: at.kind, trailer, stored }
    } finally {
      await fs.close(file)
    }
  } catch (error) {
    await discard(fs, path)
    throw error
  }
}
