/**
 * Writing replicas: to all of an object's devices at once, acknowledged by a quorum, at least one primary among them while any is to be had: so a reader that hears all
 * primaries hears of every acknowledged write. A device that fails is replaced by a handoff. Bytes are never touched here: streams are handed to the host links as they are.
 */
import { type Env, systemTimers, type Timers } from '../../durable-objects/kernel/env.ts'
import type { ObjectHead, ObjectWants } from '../../schema/agent/protocol.ts'
import type { ListingUpdate } from '../../schema/agent/replication.ts'
import { isFault } from '../../schema/values/fault.ts'
import { sealingFor } from './encryption/keymaster.ts'
import { closeUpdate } from './encryption/records.ts'
import { swiftFault } from './errors.ts'
import type { Metadata } from './headers.ts'
import type { ObjectName } from './names.ts'
import { type Located, forgetRing, locate, nearHandoffs } from './placement.ts'
import { schemeOf } from './policies.ts'
import { argsOf, attempt, avoided, hostOf, isLost, noteDown, type Outcome, quorumOf, streamOf, tombstoneArgs } from './replica-calls.ts'
import { newest } from './replicas-read.ts'
import type { RingDevice } from './ring.ts'
import { markedText } from './mark.ts'

/** Bodies up to this size are held in memory, so that a failed replica can be written elsewhere from the start. */
export const BUFFER_BYTES_MAX = 1024 * 1024
/** How long a slow replica may take after a quorum has answered. */
export const STRAGGLER_MS = 500

export interface PutOptions {
  timestamp: string
  metadata: Metadata
  /** null: chunked, unknown. */
  size: number | null
  etag: string | null
  want?: ObjectWants
  /** Encrypted or not, whatever the deployment's setting. */
  seal?: boolean
}

export async function readAll(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body as never).arrayBuffer())
}

/** Writes a new version. Throws conflict where something newer is there, unprocessable where the body is not what its ETag said. */
export async function putReplicas(env: Env, name: ObjectName, policy: number, body: ReadableStream<Uint8Array> | Uint8Array | null, options: PutOptions, now_ms: number): Promise<ObjectHead> {
  const located = await locate(env, name, policy, now_ms)
  const at: Located = { ...located, sealing: sealingFor(located.sealing, options.seal) }
  const spares = at.handoffs()
  const alone = at.primaries.length === 1 && spares.length === 0
  let source = body ?? new Uint8Array()
  if (!(source instanceof Uint8Array) && !alone && options.size !== null && options.size <= BUFFER_BYTES_MAX) source = await readAll(source)
  if (source instanceof Uint8Array) return await settle(env, at, await putBuffered(env, at, spares, source, options, now_ms))
  const devices = alone ? at.primaries : await choose(env, at.primaries, spares, now_ms)
  return await settle(env, at, await putStreams(env, at, devices, source, options, now_ms), true)
}

/** Each primary, or in its place the next handoff that answers. Primaries that were passed over are tried after all where no other took it. */
export async function eachOrHandoff<T>(env: Env, at: Located, spares: RingDevice[], now_ms: number, work: (device: RingDevice) => Promise<T>): Promise<Outcome<T>[]> {
  const rest = [...spares]
  const passed: RingDevice[] = []
  const outcomes = await Promise.all(at.primaries.map(async (primary) => {
    const isPassed = avoided(env, primary.host_id, now_ms) && rest.length > 0
    if (isPassed) passed.push(primary)
    let device: RingDevice | undefined = isPassed ? rest.shift() : primary
    let outcome: Outcome<T> = { ok: false, error: swiftFault(503), device: primary }
    while (device !== undefined) {
      const target: RingDevice = device
      outcome = await attempt(env, target, now_ms, () => work(target))
      if (outcome.ok || !isLost(outcome.error)) return outcome
      device = rest.shift()
    }
    return outcome
  }))
  const isHeld = outcomes.some((one) => one.ok && at.primaries.includes(one.device))
  if (!isHeld) outcomes.push(...(await Promise.all(passed.map((primary) => attempt(env, primary, now_ms, () => work(primary))))))
  return outcomes
}

function putBuffered(env: Env, at: Located, spares: RingDevice[], bytes: Uint8Array, { timestamp, metadata, etag, want }: PutOptions, now_ms: number): Promise<Outcome<ObjectHead>[]> {
  const extra = { metadata, size_bytes: bytes.byteLength, etag, ...(want === undefined ? {} : { want }) }
  return eachOrHandoff(env, at, spares, now_ms, (device) => hostOf(env, device).objectPut(argsOf(at, device, timestamp, extra), streamOf(bytes)))
}

/** A stream can be written once only, so hosts are asked beforehand whether they are there. */
export async function choose(env: Env, primaries: RingDevice[], spares: RingDevice[], now_ms: number): Promise<RingDevice[]> {
  const rest = [...spares]
  const isUp = async (device: RingDevice): Promise<boolean> => {
    if (avoided(env, device.host_id, now_ms)) return false
    try {
      const up = (await hostOf(env, device).status()).connected
      if (!up) noteDown(env, device.host_id, now_ms)
      return up
    } catch {
      return false
    }
  }
  const chosen = await Promise.all(primaries.map(async (primary) => {
    if (await isUp(primary)) return primary
    for (let spare = rest.shift(); spare !== undefined; spare = rest.shift()) if (await isUp(spare)) return spare
    return primary
  }))
  // All passed over: better one that was silent a moment ago than none of those who will be asked.
  const [first] = primaries
  return first === undefined || chosen.some((device) => primaries.includes(device)) ? chosen : [first, ...chosen.slice(1)]
}

async function putStreams(env: Env, at: Located, devices: RingDevice[], body: ReadableStream<Uint8Array>, options: PutOptions, now_ms: number): Promise<Outcome<ObjectHead>[]> {
  const { timestamp, metadata, size, etag, want } = options
  const branches: ReadableStream<Uint8Array>[] = []
  let rest = body
  for (let n = 1; n < devices.length; n++) {
    const [branch, other] = rest.tee()
    branches.push(branch as ReadableStream<Uint8Array>)
    rest = other as ReadableStream<Uint8Array>
  }
  branches.push(rest)
  const works = devices.map((device, n) => attempt(env, device, now_ms, () => hostOf(env, device).objectPut(argsOf(at, device, timestamp, { metadata, size_bytes: size, etag, ...(want === undefined ? {} : { want }) }), branches[n] as ReadableStream<Uint8Array>)))
  return await quorumFirst(works, env.SIM?.timers ?? systemTimers)
}

/** All outcomes, but not later than a moment after a quorum succeeded: one slow disk must not hold the client. */
export async function quorumFirst<T>(works: Promise<Outcome<T>>[], timers: Timers, quorum = quorumOf(works.length)): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = []
  await new Promise<void>((resolve) => {
    let cancel: (() => void) | null = null
    for (const work of works) {
      void work.then((outcome) => {
        outcomes.push(outcome)
        if (outcomes.length === works.length) {
          cancel?.()
          resolve()
        } else if (cancel === null && outcomes.filter((one) => one.ok).length >= quorum) cancel = timers.after(STRAGGLER_MS, resolve)
      })
    }
  })
  return outcomes
}

/** What the outcomes of a write mean. */
export async function settle<T>(env: Env, at: Located, outcomes: Outcome<T>[], streamed = false, quorum = quorumOf(at.primaries.length)): Promise<T> {
  const good = outcomes.filter((one) => one.ok)
  const errors = outcomes.filter((one) => !one.ok).map((one) => one.error)
  const [first] = good
  if (first !== undefined && good.length >= quorum) return first.value
  const newer = errors.find((error) => isFault(error, 'conflict'))
  if (newer !== undefined) throw newer
  for (const kind of ['unprocessable', 'client_closed', 'bad_request', 'too_large', 'not_found'] as const) {
    const told = errors.find((error) => isFault(error, kind))
    if (told !== undefined) throw told
  }
  // A body that breaks off fails every device with the stream's own error.
  if (streamed && errors.length > 0 && errors.every((error) => !isFault(error))) throw swiftFault(499)
  forgetRing(env, at.policy)
  if (errors.length > 0 && errors.every((error) => isFault(error, 'insufficient_storage'))) throw swiftFault(507)
  throw swiftFault(503)
}

/** Devices that must take a tombstone or a POST: so many that what is left can't be put together to what was before. */
const changeQuorum = (env: Env, { policy, primaries }: Located): number => Math.max(quorumOf(primaries.length), (schemeOf(env, policy)?.parity ?? 0) + 1)

/** Writes tombstones. `existed`: some device had the object. */
export async function deleteReplicas(env: Env, name: ObjectName, policy: number, timestamp: string, now_ms: number): Promise<{ existed: boolean }> {
  const at = await locate(env, name, policy, now_ms)
  const quorum = changeQuorum(env, at)
  const outcomes = await eachOrHandoff(env, at, at.handoffs(), now_ms, (device) => hostOf(env, device).objectDelete(tombstoneArgs(at, device, timestamp)))
  await settle(env, at, outcomes, false, quorum)
  return { existed: outcomes.some((one) => one.ok && one.value.existed) }
}

/** Replaces user metadata on every replica that has the object. A quorum of those with the newest data must have taken it, one that readers always ask among them: metadata over old data is worth nothing. */
export async function postReplicas(env: Env, name: ObjectName, policy: number, timestamp: string, metadata: Metadata, now_ms: number): Promise<ObjectHead> {
  const located = await locate(env, name, policy, now_ms)
  const at: Located = { ...located, sealing: sealingFor(located.sealing, undefined) }
  const work = (device: RingDevice) => attempt(env, device, now_ms, () => hostOf(env, device).objectPost(argsOf(at, device, timestamp, { metadata })))
  const quorum = changeQuorum(env, at)
  const asked = [...at.primaries, ...at.formers]
  const outcomes = await Promise.all(asked.map(work))
  const taken = () => outcomes.filter((one) => one.ok)
  const fresh = () => {
    const newest_at = taken().reduce((last, { value }) => ((value.data_at ?? '') > last ? (value.data_at ?? '') : last), '')
    return taken().filter(({ value }) => (value.data_at ?? '') === newest_at)
  }
  // A replica that missed the PUT can't take a POST; those that stood in for it can, and know whether there is something newer.
  if (fresh().length < asked.length) outcomes.push(...(await Promise.all(at.handoffs().slice(0, at.primaries.length).map(work))))
  if (fresh().length >= quorum && fresh().some(({ device }) => asked.includes(device))) return newest(fresh().map(({ value }) => value))
  if (taken().length > 0) throw swiftFault(503)
  return await settle(env, at, outcomes, false, quorum)
}

/** Leaves word for a container with the hosts that keep the object: they tell it as soon as it can be told. False where no host took it. */
export async function deferUpdate(env: Env, name: ObjectName, policy: number, plain: ListingUpdate, now_ms: number): Promise<boolean> {
  const at = await locate(env, name, policy, now_ms)
  const mark = await env.RING.getByName(String(policy)).mark(markedText(plain)).catch(() => null)
  const update = await closeUpdate(env, mark === null ? plain : { ...plain, mark })
  const work = (device: RingDevice) => attempt(env, device, now_ms, () => hostOf(env, device).objectDefer({ device: device.device, policy, hash: at.hash, update }))
  const outcomes = await Promise.all(at.primaries.map(work))
  if (outcomes.some((one) => one.ok)) return true
  for (const device of nearHandoffs(at)) if ((await work(device)).ok) return true
  return false
}
