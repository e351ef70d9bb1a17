/** Where an object lies: the policy's ring, kept per isolate and asked for a newer version now and then, and the devices of one name. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import { handoffs } from '../../schema/agent/handoffs.ts'
import type { Sealing } from '../../schema/agent/sealing.ts'
import { sealingOf } from './encryption/keymaster.ts'
import { swiftFault } from './errors.ts'
import { type ObjectName, hashOf, objectPath, partitionOf } from './names.ts'
import type { RingDevice } from './ring.ts'
import type { RingView } from './ring-store.ts'

/** How long a ring is used before its version is asked for. A ring that is a little old still reads: handoffs and the other replicas answer. */
export const RING_CHECK_MS = 2_000
/** A ring without devices asks the region for hosts, at most this often. */
export const RING_EMPTY_REFRESH_MS = 1_000

interface Cached {
  ring: RingView
  byId: Map<number, RingDevice>
  /** Partition -> devices that held it before. */
  moving: Map<number, number[]>
  checked_ms: number
}

const caches = new WeakMap<object, Map<number, Cached>>()

export interface Located {
  policy: number
  partition: number
  hash: string
  name: string
  primaries: RingDevice[]
  /** The primaries by the number of their replica: of erasure-coded policies the fragment's. Null where the ring has too few devices. */
  slots: (RingDevice | null)[]
  /** Devices that the partition is moving away from, and may not have left yet. */
  formers: RingDevice[]
  handoffs(): RingDevice[]
  /** Its keys; undefined where nothing is encrypted, nor to be. */
  sealing: Sealing | undefined
}

function movingOf(ring: RingView): Map<number, number[]> {
  const moving = new Map<number, number[]>()
  for (const { device, partitions } of ring.moving) for (const partition of partitions) moving.set(partition, [...(moving.get(partition) ?? []), device])
  return moving
}

async function ringOf(env: Env, policy: number, now_ms: number): Promise<Cached> {
  let cache = caches.get(env)
  if (cache === undefined) {
    cache = new Map()
    caches.set(env, cache)
  }
  const found = cache.get(policy)
  if (found !== undefined && now_ms - found.checked_ms < (found.ring.devices.length === 0 ? 0 : RING_CHECK_MS)) return found
  const object = env.RING.getByName(String(policy))
  let ring = (await object.current(found?.ring.version ?? -1)) ?? found?.ring
  if (ring !== undefined && ring.devices.length === 0 && (found === undefined || now_ms - found.checked_ms >= RING_EMPTY_REFRESH_MS)) {
    await object.refresh()
    ring = (await object.current(ring.version)) ?? ring
  }
  if (ring === undefined) throw swiftFault(503)
  const fresh: Cached = { ring, byId: new Map(ring.devices.map((device) => [device.id, device])), checked_ms: now_ms, moving: movingOf(ring) }
  cache.set(policy, fresh)
  return fresh
}

/** Devices of a policy's ring. */
export const ringDevices = async (env: Env, policy: number, now_ms: number): Promise<RingDevice[]> => (await ringOf(env, policy, now_ms)).ring.devices

/** Where a hash belongs. */
export const ringPartition = async (env: Env, policy: number, hash: string, now_ms: number): Promise<number> => partitionOf(hash, (await ringOf(env, policy, now_ms)).ring.part_power)

/** Devices of a partition, and those that it is moving away from. */
export async function holdersOf(env: Env, policy: number, partition: number, now_ms: number): Promise<RingDevice[]> {
  const { ring, byId, moving } = await ringOf(env, policy, now_ms)
  return [...ring.assignment.map((row) => row[partition] ?? -1), ...(moving.get(partition) ?? [])].map((id) => byId.get(id)).filter((device) => device !== undefined)
}

/** Devices that stand in for those of a partition: as many as readers look at. */
export async function standInsOf(env: Env, policy: number, partition: number, now_ms: number): Promise<RingDevice[]> {
  const { ring, byId } = await ringOf(env, policy, now_ms)
  const primaries = ring.assignment.map((row) => byId.get(row[partition] ?? -1)).filter((device) => device !== undefined)
  return handoffs(ring.devices, primaries, partition).slice(0, Math.max(1, primaries.length))
}

/** Forgets the ring, after a device answered that it is not there. */
export function forgetRing(env: Env, policy: number): void {
  caches.get(env)?.delete(policy)
}

export async function locate(env: Env, name: ObjectName, policy: number, now_ms: number): Promise<Located> {
  const { ring, byId, moving } = await ringOf(env, policy, now_ms)
  if (ring.assignment.length === 0) throw swiftFault(503)
  const hash = hashOf(name, ring.hash_prefix, ring.hash_suffix)
  const partition = partitionOf(hash, ring.part_power)
  const slots = ring.assignment.map((row) => byId.get(row[partition] ?? -1) ?? null)
  const primaries = slots.filter((device) => device !== null)
  // Replicas start at different places, so that one host does not answer all reads first.
  const turn = Number.parseInt(hash.slice(-2), 16) % Math.max(1, primaries.length)
  const ordered = [...primaries.slice(turn), ...primaries.slice(0, turn)]
  const formers = (moving.get(partition) ?? []).map((id) => byId.get(id)).filter((device) => device !== undefined)
  return { policy, partition, hash, name: objectPath(name), primaries: ordered, slots, formers, sealing: await sealingOf(env, name), handoffs: () => handoffs(ring.devices, primaries, partition) }
}

/** Handoffs that readers look at, and so those that anything is left with. */
export const nearHandoffs = (at: Located): RingDevice[] => at.handoffs().slice(0, Math.max(1, at.primaries.length))
