/** Calls to single replicas: how one is asked, what its failure means, and which hosts are left alone for a moment. Shared by reads and writes. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectArgs } from '../../schema/agent/protocol.ts'
import { isFault } from '../../schema/values/fault.ts'
import type { Located } from './placement.ts'
import type { RingDevice } from './ring.ts'

/** A host that was not reachable is not tried first again for this long. */
export const HOST_AVOIDED_MS = 5_000

export const quorumOf = (replicas: number): number => Math.floor(replicas / 2) + 1

const down = new WeakMap<object, Map<string, number>>()
export const avoided = (env: Env, hostId: string, now_ms: number): boolean => (down.get(env)?.get(hostId) ?? 0) > now_ms
export function noteDown(env: Env, hostId: string, now_ms: number): void {
  const known = down.get(env) ?? new Map<string, number>()
  down.set(env, known)
  known.set(hostId, now_ms + HOST_AVOIDED_MS)
}

export const hostOf = (env: Env, device: RingDevice) => env.HOST.getByName(device.host_id)
const placeOf = (at: Located, device: RingDevice, timestamp: string): ObjectArgs => ({ device: device.device, policy: at.policy, partition: at.partition, hash: at.hash, name: at.name, timestamp })
/** With the object's keys: reads need them, for nobody knows beforehand whether it is encrypted. */
export const argsOf = (at: Located, device: RingDevice, timestamp: string, extra: Partial<ObjectArgs> = {}): ObjectArgs => ({ ...placeOf(at, device, timestamp), ...(at.sealing === undefined ? {} : { sealing: at.sealing }), ...extra })
/** A tombstone has nothing to encrypt. */
export const tombstoneArgs = placeOf

export type Outcome<T> = { ok: true; value: T; device: RingDevice } | { ok: false; error: unknown; device: RingDevice }

export async function attempt<T>(env: Env, device: RingDevice, now_ms: number, work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await work(), device }
  } catch (error) {
    // Only what the host's link says of itself: a client that went away says nothing about hosts.
    if (isFault(error, 'unavailable')) noteDown(env, device.host_id, now_ms)
    return { ok: false, error, device }
  }
}

/** Says nothing about the request: another device may do better. */
export const isLost = (error: unknown): boolean => !isFault(error) || error.kind === 'unavailable' || error.kind === 'timeout' || error.kind === 'insufficient_storage' || error.kind === 'internal'

/** A body of bytes, as a stream that RPC can carry. */
export const streamOf = (bytes: Uint8Array): ReadableStream<Uint8Array> =>
  new ReadableStream({
    type: 'bytes',
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes.slice() as never)
      controller.close()
    },
  })
