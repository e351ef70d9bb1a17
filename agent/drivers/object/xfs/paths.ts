/**
 * Where a replica lies and what a folder of versions means; pure.
 *
 *   <device>/objects[-policy]/<partition>/<last 3 of hash>/<hash>/<timestamp>[#m].{data,meta,ts}
 *   <device>/objects[-policy]/<partition>/<last 3 of hash>/<hash>/<timestamp>#<fragment>[#d][#m].data
 *   <device>/objects[-policy]/<partition>/{hashes.json,dirty-<suffix>}       (hashes.ts)
 *   <device>/async_pending[-policy]/<hash>-<timestamp>                       (listing updates to be told)
 *   <device>/quarantined/objects[-policy]/<hash>/<file>                      (damaged, kept for the operator)
 *   <device>/tmp/<unique>
 *
 * `.data` is a PUT, `.meta` the user metadata of a later POST, `.ts` a tombstone. `#m` marks a file whose metadata stands at its
 * end instead of in extended attributes (commit.ts). The newest timestamp wins, whatever the order of arrival.
 *
 * A fragment (of an erasure-coded object) counts as its data from `#d` on: until then enough of its write may not be on disks, and what it is to replace stays beside it.
 */
import { join } from 'node:path'
import type { ObjectArgs } from '../../../../schema/agent/protocol.ts'
import type { VersionKind } from '../../../../schema/agent/replication.ts'
import { isTimestamp } from '../args.ts'

export const devicePath = (devicesDir: string, device: string): string => join(devicesDir, device)
export const tmpPath = (devicesDir: string, device: string): string => join(devicesDir, device, 'tmp')

const ofPolicy = (name: string, policy: number): string => (policy === 0 ? name : `${name}-${policy}`)
export const suffixOf = (hash: string): string => hash.slice(-3)
export const partitionPath = (devicesDir: string, at: Pick<ObjectArgs, 'device' | 'policy' | 'partition'>): string => join(devicesDir, at.device, ofPolicy('objects', at.policy), String(at.partition))
export const hashPath = (devicesDir: string, at: Pick<ObjectArgs, 'device' | 'policy' | 'partition' | 'hash'>): string => join(partitionPath(devicesDir, at), suffixOf(at.hash), at.hash)
export const quarantinePath = (devicesDir: string, device: string, policy: number): string => join(devicesDir, device, 'quarantined', ofPolicy('objects', policy))
export const pendingPath = (devicesDir: string, device: string, policy: number): string => join(devicesDir, device, ofPolicy('async_pending', policy))

/** Policy of a folder `objects` or `objects-N`; null for any other. */
export function policyOf(folder: string, name = 'objects'): number | null {
  if (folder === name) return 0
  const match = /^-(\d+)$/.exec(folder.startsWith(name) ? folder.slice(name.length) : '')
  return match === null || Number(match[1]) === 0 ? null : Number(match[1])
}

export interface Version {
  file: string
  timestamp: string
  kind: VersionKind
  /** Metadata at the end of the file. */
  trailer: boolean
  /** Which fragment the file is; null where it is all of the object. */
  fragment: number | null
  /** The write of this fragment was acknowledged. */
  durable: boolean
}

const markOf = (index: number | null, durable: boolean): string => (index === null ? '' : `#${index}${durable ? '#d' : ''}`)
export const versionFile = (timestamp: string, kind: VersionKind, trailer: boolean, fragment: number | null = null, durable = false): string => `${timestamp}${markOf(fragment, durable)}${trailer ? '#m' : ''}.${kind}`

/** Null for what is no version of ours: it is left alone. */
export function parseVersion(file: string): Version | null {
  const match = /^([^#]+?)(?:#(\d{1,3})(#d)?)?(#m)?\.(data|meta|ts)$/.exec(file)
  const timestamp = match?.[1] ?? ''
  if (match === null || !isTimestamp(timestamp) || (match[2] !== undefined && match[5] !== 'data')) return null
  return { file, timestamp, kind: match[5] as VersionKind, trailer: match[4] !== undefined, fragment: match[2] === undefined ? null : Number(match[2]), durable: match[3] !== undefined }
}

export interface Resolved {
  data: Version | null
  /** A POST newer than the data. */
  meta: Version | null
  tombstone: Version | null
  /** Superseded, safe to remove. */
  obsolete: Version[]
  /** Timestamp of the newest PUT or DELETE. */
  base: string | null
  /** Timestamp of the newest POST, of whatever it lies over. */
  posted: string | null
  /** Fragments of the data, and of writes after it that are not acknowledged yet. */
  fragments: Version[]
}

export function resolve(files: readonly string[]): Resolved {
  const versions = files.map(parseVersion).filter((version) => version !== null)
  const newest = (kind: VersionKind): Version | null =>
    versions.filter((version) => version.kind === kind && (version.fragment === null || version.durable)).reduce<Version | null>((best, one) => (best === null || one.timestamp > best.timestamp ? one : best), null)
  const newestData = newest('data')
  const newestTombstone = newest('ts')
  const newestMeta = newest('meta')
  // At the same time a tombstone wins: every replica decides the same.
  const dead = newestTombstone !== null && (newestData === null || newestTombstone.timestamp >= newestData.timestamp)
  const data = dead ? null : newestData
  const tombstone = dead ? newestTombstone : null
  const base = (data ?? tombstone)?.timestamp ?? null
  // A POST newer than a tombstone is kept: it may belong to a PUT still on its way from another replica.
  const liveMeta = newestMeta !== null && (base === null || newestMeta.timestamp > base) ? newestMeta : null
  const fragments = versions.filter((version) => isLive(version, base, data, versions))
  const kept = new Set([data, tombstone, liveMeta, ...fragments])
  return {
    data,
    tombstone,
    meta: data === null ? null : liveMeta,
    obsolete: versions.filter((version) => !kept.has(version)),
    base,
    posted: liveMeta?.timestamp ?? null,
    fragments,
  }
}

/** Of the data, or of a write after all that is acknowledged. Where a fragment is there with and without its mark, the one with it will do. */
function isLive(version: Version, base: string | null, data: Version | null, all: readonly Version[]): boolean {
  if (version.fragment === null) return false
  if (version.timestamp !== data?.timestamp) return !version.durable && (base === null || version.timestamp > base)
  return version.durable || !all.some((other) => other.durable && other.timestamp === version.timestamp && other.fragment === version.fragment)
}
