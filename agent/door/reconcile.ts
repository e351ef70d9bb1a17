/**
 * After the plane was away: each write that was acknowledged meanwhile is brought to the devices where the ring wants it, then told to its container, in the order of the
 * writes. Both may happen twice: the newest time wins. What the plane refuses for good (the container is gone, the right was taken away before the write) is put aside.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { DoorResult } from '../../schema/agent/door.ts'
import type { ObjectArgs, ObjectHead } from '../../schema/agent/protocol.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { objectPath } from '../../workers/object/names.ts'
import { type Located, locate } from '../../workers/object/placement.ts'
import { schemeOf } from '../../workers/object/policies.ts'
import { headReplicas } from '../../workers/object/replicas.ts'
import type { RingDevice } from '../../workers/object/ring.ts'
import { type Log, messageOf } from '../log.ts'
import { withEvidence } from './evidence.ts'
import { type DoorPlane, Unreachable } from './plane.ts'
import type { DoorStore, Pending } from './store.ts'

export const DELIVERED_AT_ONCE = 64
/** Containers remember deletions for a day: an update older than this is looked at on the disks first. */
export const REMEMBERED_MS = 23 * 3_600_000

export interface ReconcileDeps {
  plane: DoorPlane
  store: DoorStore
  env(): Env
  now_ms(): number
  log: Log
}

/** Faults after which the same call may still succeed. */
const PASSING = new Set(['unavailable', 'timeout', 'internal', 'rate_limited', 'bad_gateway'])

export async function reconcile(deps: ReconcileDeps): Promise<void> {
  const { store, plane, log } = deps
  let delivered = 0
  for (;;) {
    const entries = store.pending(DELIVERED_AT_ONCE)
    if (entries.length === 0) break
    const live: Pending[] = []
    for (const entry of entries) {
      if (await withEvidence(entry.evidence, () => isOutdated(deps, entry))) store.settle(entry, null)
      else {
        await withEvidence(entry.evidence, () => spread(deps, entry)).catch((error: unknown) => log('door_spread_failed', { object: entry.object?.object, error: messageOf(error) }))
        live.push(entry)
      }
    }
    const results = await plane.deliver(live.map(({ evidence, call }) => ({ evidence, call })))
    for (const [n, entry] of live.entries()) {
      const reason = reasonOf(results[n])
      store.settle(entry, reason)
      if (reason === null) delivered++
      else log('door_write_refused', { account: entry.call.account, container: entry.call.container, reason })
    }
  }
  if (delivered > 0) log('door_delivered', { updates: delivered })
}

/** Null: done. Throws where it is to be tried again. */
function reasonOf(result: DoorResult | undefined): string | null {
  if (result === undefined) throw new Unreachable('an answer is missing')
  if (result.ok || result.error.kind === 'conflict') return null
  if (PASSING.has(result.error.kind)) throw new Unreachable(result.error.message)
  return `${result.error.kind}: ${result.error.message}`
}

/** Deleted or replaced so long ago that the container has forgotten it. */
async function isOutdated({ env, now_ms }: ReconcileDeps, { at_ms, object, call }: Pending): Promise<boolean> {
  if (object === null || call.method === 'deleteObject' || now_ms() - at_ms < REMEMBERED_MS) return false
  const found = await headReplicas(env(), object, object.policy, now_ms())
  return found === null || found.head.timestamp > object.timestamp
}

async function spread(deps: ReconcileDeps, { object, call }: Pending): Promise<void> {
  if (object === null) return
  const env = deps.env()
  const at = await locate(env, object, object.policy, deps.now_ms())
  const argsOf = (device: RingDevice, extra: Partial<ObjectArgs> = {}): ObjectArgs => ({ device: device.device, policy: at.policy, partition: at.partition, hash: at.hash, name: objectPath(object), timestamp: object.timestamp, ...(at.sealing === undefined ? {} : { sealing: at.sealing }), ...extra })
  if (call.method === 'deleteObject') {
    await Promise.all(at.primaries.map((device) => env.HOST.getByName(device.host_id).objectDelete(argsOf(device, { sealing: undefined })).catch(unlessNewer)))
    return
  }
  // Fragments are brought to their places by the hosts' own reconstructor.
  if (schemeOf(env, object.policy) !== null) return
  const heads = await Promise.all(at.primaries.map(async (device) => ({ device, head: await headOn(env, argsOf(device), device) })))
  const missing = heads.filter(({ head }) => head !== 'newer' && (head === null || head.timestamp < object.timestamp)).map(({ device }) => device)
  for (const device of missing) await copyTo(env, at, device, argsOf, object.timestamp)
}

async function headOn(env: Env, args: ObjectArgs, device: RingDevice): Promise<ObjectHead | 'newer' | null> {
  try {
    return await env.HOST.getByName(device.host_id).objectHead(args)
  } catch (error) {
    if (!isFault(error, 'not_found')) throw error
    const gone = (error.details as { timestamp?: string | null } | undefined)?.timestamp ?? ''
    return gone >= args.timestamp ? 'newer' : null
  }
}

/** From whichever device has that very version. */
async function copyTo(env: Env, at: Located, target: RingDevice, argsOf: (device: RingDevice, extra?: Partial<ObjectArgs>) => ObjectArgs, timestamp: string): Promise<void> {
  for (const source of [...at.primaries, ...at.handoffs()]) {
    if (source.id === target.id) continue
    const found = await env.HOST.getByName(source.host_id).objectGet(argsOf(source)).catch(() => null)
    if (found === null) continue
    if (found.head.timestamp !== timestamp) {
      await found.body.cancel().catch(() => {})
      continue
    }
    const { metadata, size_bytes, etag } = found.head
    // As it is where it comes from.
    const sealing: Partial<ObjectArgs> = at.sealing === undefined ? {} : { sealing: { ...at.sealing, seal: found.head.sealed === true } }
    await env.HOST.getByName(target.host_id).objectPut(argsOf(target, { metadata, size_bytes, etag, ...sealing }), found.body).catch(unlessNewer)
    return
  }
  throw new Fault('unavailable', 'no device that answers has this version')
}

function unlessNewer(error: unknown): void {
  if (!isFault(error, 'conflict')) throw error
}
