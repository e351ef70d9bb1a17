/** Which devices stand in for those of a partition that are out: the first ones beyond its own that answer, in the order that readers and writers have too. Asked for many partitions at once. */
import type { PartitionAt } from '../../schema/agent/replication.ts'
import { isFault } from '../../schema/values/fault.ts'
import { PARTITIONS_PER_QUERY_MAX } from './answer.ts'
import type { Peer } from './peers.ts'
import type { HostRing, RingDeviceAt } from './ring.ts'

export interface StandIn {
  device: RingDeviceAt
  /** Of what it holds of the partition. */
  digest: string
  /** Numbers of the fragments that it holds there; null where it can't say (an agent, or a plane between, of an earlier release). */
  numbers: readonly number[] | null
}

export interface Wanted {
  at: Pick<PartitionAt, 'policy' | 'partition'>
  ring: HostRing
  /** Devices that are out. */
  count: number
}

const keyOf = ({ policy }: Wanted['at'], device: RingDeviceAt): string => `${policy}/${device.host_id}/${device.device}`

/** For each of them so many devices as are out, fewer where there are not as many. `failed` is told of those that do not answer. */
export async function standIns(wanted: readonly Wanted[], peer: (host_id: string, ring: HostRing) => Peer, failed: (device: RingDeviceAt, error: unknown) => void): Promise<StandIn[][]> {
  const gone = new Set<string>()
  const known = new Map<string, StandIn>()
  const chosen = ({ at, ring, count }: Wanted): RingDeviceAt[] => ring.handoffs(at.partition).filter((device) => !gone.has(keyOf(at, device))).slice(0, count)
  const knownAs = (at: Wanted['at'], device: RingDeviceAt): string => `${keyOf(at, device)}/${at.partition}`
  for (;;) {
    const groups = new Map<string, { device: RingDeviceAt; some: Wanted[] }>()
    for (const one of wanted) {
      for (const device of chosen(one)) {
        if (known.has(knownAs(one.at, device))) continue
        const group = groups.get(keyOf(one.at, device)) ?? { device, some: [] }
        group.some.push(one)
        groups.set(keyOf(one.at, device), group)
      }
    }
    if (groups.size === 0) return wanted.map((one) => chosen(one).map((device) => known.get(knownAs(one.at, device)) as StandIn))
    for (const [key, { device, some }] of groups) {
      try {
        for (let from = 0; from < some.length; from += PARTITIONS_PER_QUERY_MAX) {
          const batch = some.slice(from, from + PARTITIONS_PER_QUERY_MAX)
          for (const [n, found] of (await ask(batch, device, peer)).entries()) known.set(knownAs((batch[n] as Wanted).at, device), found)
        }
      } catch (error) {
        gone.add(key)
        failed(device, error)
      }
    }
  }
}

async function ask(batch: readonly Wanted[], device: RingDeviceAt, peer: (host_id: string, ring: HostRing) => Peer): Promise<StandIn[]> {
  const [{ at: { policy }, ring }] = batch as [Wanted]
  const to = peer(device.host_id, ring)
  const query = { device: device.device, policy, partitions: batch.map(({ at }) => at.partition) }
  const digests = await to.ask('digests', query)
  const numbers = await to.ask('numbers', query).catch((error: unknown) => {
    if (isFault(error, 'not_implemented') || isFault(error, 'bad_request')) return []
    throw error
  })
  return batch.map((_, n) => ({ device, digest: digests[n] ?? '', numbers: numbers[n] ?? null }))
}
