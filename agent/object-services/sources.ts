/** Where the other fragments of an object are to be had: here, on the places of its partition, and on handoffs. */
import type { PartitionAt, VersionSet } from '../../schema/agent/replication.ts'
import type { ErasureScheme } from '../../schema/values/erasure.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import type { Peer } from './peers.ts'
import type { Source } from './rebuild.ts'
import type { HostRing, RingDeviceAt } from './ring.ts'

export interface SourcesDeps {
  replicas: ObjectReplicas
  peer(host_id: string, ring: HostRing): Peer
}

/** The partition, and who answers of those that hold it (`digests`, by the number of their fragment). */
export interface Places {
  at: PartitionAt
  ring: HostRing
  scheme: ErasureScheme
  slots: readonly (RingDeviceAt | null)[]
  mine: number
  digests: ReadonlyMap<number, string>
}

/** Of the places of its partition that answer, without fragment `index`; whether each has what is its own is seen when it is read. */
export function sourcesAt({ replicas, peer }: SourcesDeps, job: Places, set: VersionSet, index: number): Source[] {
  const version = { hash: set.hash, kind: 'data' as const, timestamp: set.data ?? '' }
  const here = (set.fragments ?? []).filter((fragment) => fragment.timestamp === version.timestamp && fragment.index !== index).map((fragment) => fragment.index)
  const sources: Source[] = here.map((number) => ({ index: number, read: () => replicas.read({ ...job.at, ...version, fragment: number }) }))
  for (const [number, slot] of job.slots.entries()) {
    if (slot === null || number === job.mine || number === index || here.includes(number) || !job.digests.has(number)) continue
    sources.push({ index: number, read: () => peer(slot.host_id, job.ring).read({ ...job.at, device: slot.device, ...version, fragment: number }) })
  }
  return sources
}

/** What handoffs have of it, but for the numbers that are not wanted. */
export async function sourcesBeyond({ peer }: SourcesDeps, job: Places, set: VersionSet, unwanted: readonly number[]): Promise<Source[]> {
  const known = new Set(unwanted)
  const sources: Source[] = []
  for (const { host_id, device } of job.ring.handoffs(job.at.partition).slice(0, job.slots.length)) {
    const there = { ...job.at, device }
    const sets = await peer(host_id, job.ring).ask('versions', { ...there, suffixes: [set.hash.slice(-3)] }).catch(() => [])
    for (const { timestamp, index } of sets.find(({ hash }) => hash === set.hash)?.fragments ?? []) {
      if (timestamp !== set.data || known.has(index)) continue
      known.add(index)
      sources.push({ index, read: () => peer(host_id, job.ring).read({ ...there, hash: set.hash, kind: 'data', timestamp, fragment: index }) })
    }
  }
  return sources
}
