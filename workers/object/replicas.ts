/**
 * The replicas of one object: written to all of its devices at once, acknowledged by a quorum, read from the newest. A device that fails is replaced by a handoff. Bytes are
 * never touched here: streams are handed to the host links as they are.
 */
import { type Env, systemTimers, type Timers } from '../../durable-objects/kernel/env.ts'
import type { ObjectArgs, ObjectHead, ObjectWants } from '../../schema/agent/protocol.ts'
import { type Fault, isFault } from '../../schema/values/fault.ts'
import { swiftFault } from './errors.ts'
import type { Metadata } from './headers.ts'
import type { ObjectName } from './names.ts'
import { type Located, forgetRing, locate } from './placement.ts'
import type { RingDevice } from './ring.ts'
import { timestampOf } from './timestamp.ts'

/** Bodies up to this size are held in memory, so that a failed replica can be written elsewhere from the start. */
export const BUFFER_BYTES_MAX = 1024 * 1024
/** How long a slow replica may take after a quorum has answered. */
export const STRAGGLER_MS = 500
export const READ_STRAGGLER_MS = 250
/** A host that was not reachable is not tried first again for this long. */
export const HOST_AVOIDED_MS = 5_000

export interface PutOptions {
  timestamp: string
  metadata: Metadata
  /** null: chunked, unknown. */
  size: number | null
  etag: string | null
  want?: ObjectWants
}

export const quorumOf = (replicas: number): number => Math.floor(replicas / 2) + 1

const down = new WeakMap<object, Map<string, number>>()
const avoided = (env: Env, hostId: string, now_ms: number): boolean => (down.get(env)?.get(hostId) ?? 0) > now_ms
function noteDown(env: Env, hostId: string, now_ms: number): void {
  const known = down.get(env) ?? new Map<string, number>()
  down.set(env, known)
  known.set(hostId, now_ms + HOST_AVOIDED_MS)
}

const hostOf = (env: Env, device: RingDevice) => env.HOST.getByName(device.host_id)
const argsOf = (at: Located, device: RingDevice, timestamp: string, extra: Partial<ObjectArgs> = {}): ObjectArgs => ({ device: device.device, policy: at.policy, partition: at.partition, hash: at.hash, name: at.name, timestamp, ...extra })

const isLost = (error: unknown): boolean => !isFault(error) || error.kind === 'unavailable' || error.kind === 'timeout' || error.kind === 'insufficient_storage' || error.kind === 'internal'

/** A body of bytes, as a stream that RPC can carry. */
export const streamOf = (bytes: Uint8Array): ReadableStream<Uint8Array> =>
  new ReadableStream({
    type: 'bytes',
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes.slice() as never)
      controller.close()
    },
  })

async function readAll(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body as never).arrayBuffer())
}

// ---------------------------------------------------------------- write

/** Writes a new version. Throws conflict where something newer is there, unprocessable where the body is not what its ETag said. */
export async function putReplicas(env: Env, name: ObjectName, policy: number, body: ReadableStream<Uint8Array> | Uint8Array | null, options: PutOptions, now_ms: number): Promise<ObjectHead> {
  const at = await locate(env, name, policy, now_ms)
  const spares = at.handoffs()
  const alone = at.primaries.length === 1 && spares.length === 0
  let source = body ?? new Uint8Array()
  if (!(source instanceof Uint8Array) && !alone && options.size !== null && options.size <= BUFFER_BYTES_MAX) source = await readAll(source)
  if (source instanceof Uint8Array) return await settle(env, at, await putBuffered(env, at, spares, source, options, now_ms))
  const devices = alone ? at.primaries : await choose(env, at.primaries, spares, now_ms)
  return await settle(env, at, await putStreams(env, at, devices, source, options, now_ms), true)
}

type Outcome<T> = { ok: true; value: T; device: RingDevice } | { ok: false; error: unknown; device: RingDevice }

async function attempt<T>(env: Env, device: RingDevice, now_ms: number, work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await work(), device }
  } catch (error) {
    // Only what the host's link says of itself: a client that went away says nothing about hosts.
    if (isFault(error, 'unavailable')) noteDown(env, device.host_id, now_ms)
    return { ok: false, error, device }
  }
}

/** Each primary, or in its place the next handoff that answers. */
async function putBuffered(env: Env, at: Located, spares: RingDevice[], bytes: Uint8Array, options: PutOptions, now_ms: number): Promise<Outcome<ObjectHead>[]> {
  const rest = [...spares]
  return await Promise.all(at.primaries.map(async (primary) => {
    let device: RingDevice | undefined = avoided(env, primary.host_id, now_ms) && rest.length > 0 ? rest.shift() : primary
    let outcome: Outcome<ObjectHead> = { ok: false, error: swiftFault(503), device: primary }
    while (device !== undefined) {
      const target: RingDevice = device
      const { timestamp, metadata, etag, want } = options
      outcome = await attempt(env, target, now_ms, () => hostOf(env, target).objectPut(argsOf(at, target, timestamp, { metadata, size_bytes: bytes.byteLength, etag, ...(want === undefined ? {} : { want }) }), streamOf(bytes)))
      if (outcome.ok || !isLost(outcome.error)) return outcome
      device = rest.shift()
    }
    return outcome
  }))
}

/** A stream can be written once only, so hosts are asked beforehand whether they are there. */
async function choose(env: Env, primaries: RingDevice[], spares: RingDevice[], now_ms: number): Promise<RingDevice[]> {
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
  return chosen
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
async function quorumFirst<T>(works: Promise<Outcome<T>>[], timers: Timers): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = []
  const quorum = quorumOf(works.length)
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
async function settle<T>(env: Env, at: Located, outcomes: Outcome<T>[], streamed = false): Promise<T> {
  const good = outcomes.filter((one) => one.ok)
  const errors = outcomes.filter((one) => !one.ok).map((one) => one.error)
  const [first] = good
  if (first !== undefined && good.length >= quorumOf(at.primaries.length)) return first.value
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

/** Writes tombstones. `existed`: some device had the object. */
export async function deleteReplicas(env: Env, name: ObjectName, policy: number, timestamp: string, now_ms: number): Promise<{ existed: boolean }> {
  const at = await locate(env, name, policy, now_ms)
  const rest = at.handoffs()
  const outcomes = await Promise.all(at.primaries.map(async (primary) => {
    let device: RingDevice | undefined = primary
    let outcome: Outcome<{ timestamp: string; existed: boolean }> = { ok: false, error: swiftFault(503), device: primary }
    while (device !== undefined) {
      const target: RingDevice = device
      outcome = await attempt(env, target, now_ms, () => hostOf(env, target).objectDelete(argsOf(at, target, timestamp)))
      if (outcome.ok || !isLost(outcome.error)) return outcome
      device = rest.shift()
    }
    return outcome
  }))
  await settle(env, at, outcomes)
  return { existed: outcomes.some((one) => one.ok && one.value.existed) }
}

/** Replaces user metadata on every replica that has the object. */
export async function postReplicas(env: Env, name: ObjectName, policy: number, timestamp: string, metadata: Metadata, now_ms: number): Promise<ObjectHead> {
  const at = await locate(env, name, policy, now_ms)
  const work = (device: RingDevice) => attempt(env, device, now_ms, () => hostOf(env, device).objectPost(argsOf(at, device, timestamp, { metadata })))
  const outcomes = await Promise.all(at.primaries.map(work))
  const isMissing = (one: Outcome<ObjectHead>) => !one.ok && isFault(one.error, 'not_found')
  if (!outcomes.some((one) => one.ok)) for (const spare of at.handoffs().slice(0, at.primaries.length)) outcomes.push(await work(spare))
  const found = outcomes.filter((one) => one.ok)
  // A replica that missed the PUT can't take a POST; it gets both when it is repaired. The newest answer tells.
  if (found.length > 0 && found.length + outcomes.filter(isMissing).length >= quorumOf(at.primaries.length)) return newest(found.map((one) => one.value))
  return await settle(env, at, outcomes)
}

const newest = (heads: ObjectHead[]): ObjectHead => heads.reduce((best, head) => (head.timestamp > best.timestamp ? head : best))

// ---------------------------------------------------------------- read

export interface Found {
  head: ObjectHead
  /** Devices that have this version, the best first. */
  devices: RingDevice[]
  at: Located
}

type Answer = { device: RingDevice; head: ObjectHead | null; body?: ReadableStream<Uint8Array>; gone: string | null; lost: boolean }

async function ask(env: Env, at: Located, device: RingDevice, withBody: boolean, now_ms: number): Promise<Answer> {
  const outcome = await attempt(env, device, now_ms, async () => {
    const args = argsOf(at, device, timestampOf(now_ms))
    return withBody ? await hostOf(env, device).objectGet(args) : { head: await hostOf(env, device).objectHead(args), body: undefined }
  })
  if (outcome.ok) return { device, head: outcome.value.head, gone: null, lost: false, ...(outcome.value.body === undefined ? {} : { body: outcome.value.body }) }
  const missing = isFault(outcome.error, 'not_found')
  const gone = missing ? ((outcome.error as Fault).details as { timestamp?: string } | undefined)?.timestamp : undefined
  return { device, head: null, gone: gone ?? null, lost: !missing }
}

/**
 * The newest version that a quorum of devices knows of, or null. With `withBody` the first device starts sending at once; should another have something
 * newer, its stream is dropped and the newer one is opened.
 */
async function findNewest(env: Env, name: ObjectName, policy: number, withBody: boolean, now_ms: number): Promise<(Found & { body?: ReadableStream<Uint8Array> }) | null> {
  const at = await locate(env, name, policy, now_ms)
  const order = [...at.primaries].sort((a, b) => Number(avoided(env, a.host_id, now_ms)) - Number(avoided(env, b.host_id, now_ms)))
  const answers = await enough(order.map((device, n) => ask(env, at, device, withBody && n === 0, now_ms)), quorumOf(order.length), env.SIM?.timers ?? systemTimers)
  if (!answers.some((one) => one.head !== null || one.gone !== null)) for (const spare of at.handoffs().slice(0, Math.max(1, order.length))) answers.push(await ask(env, at, spare, false, now_ms))
  const good = answers.filter((one) => one.head !== null)
  const best = good.length === 0 ? null : newest(good.map((one) => one.head as ObjectHead))
  const gone = answers.reduce<string>((last, one) => (one.gone !== null && one.gone > last ? one.gone : last), '')
  const body = answers.find((one) => one.body !== undefined)
  if (best === null || gone >= best.timestamp) {
    void body?.body?.cancel().catch(() => {})
    if (best === null && gone === '' && answers.filter((one) => !one.lost).length < quorumOf(order.length)) throw swiftFault(503)
    return null
  }
  const holders = good.filter((one) => one.head?.timestamp === best.timestamp)
  const devices = holders.map((one) => one.device)
  if (body?.body !== undefined && holders.includes(body)) return { head: best, devices, at, body: body.body }
  void body?.body?.cancel().catch(() => {})
  return { head: best, devices, at }
}

/**
 * All answers, but not later than a moment after a quorum knew something of the object: a write that ended on handoffs may be known to a minority of the primaries, so the
 * slow one is waited for, though not for long. Late streams are dropped.
 */
async function enough(works: Promise<Answer>[], quorum: number, timers: Timers): Promise<Answer[]> {
  const answers: Answer[] = []
  let closed = false
  await new Promise<void>((resolve) => {
    let cancel: (() => void) | null = null
    const close = () => {
      closed = true
      cancel?.()
      resolve()
    }
    for (const work of works) {
      void work.then((answer) => {
        if (closed) {
          void answer.body?.cancel().catch(() => {})
          return
        }
        answers.push(answer)
        const heard = answers.filter((one) => !one.lost)
        if (answers.length === works.length) close()
        else if (cancel === null && heard.length >= quorum && heard.some((one) => one.head !== null || one.gone !== null)) cancel = timers.after(READ_STRAGGLER_MS, close)
      })
    }
  })
  return answers
}

/** How many devices, primaries and handoffs, have this version or a newer one; and how many primaries could not be asked. */
export async function copiesOf(env: Env, at: Located, timestamp: string, now_ms: number): Promise<{ copies: number; unreachable: number }> {
  const has = (answer: Answer) => answer.head !== null && answer.head.timestamp >= timestamp
  const answers = await Promise.all(at.primaries.map((device) => ask(env, at, device, false, now_ms)))
  const copies = answers.filter(has).length
  const unreachable = answers.filter((answer) => answer.lost).length
  if (copies === at.primaries.length) return { copies, unreachable }
  const spares = await Promise.all(at.handoffs().slice(0, at.primaries.length).map((device) => ask(env, at, device, false, now_ms)))
  return { copies: copies + spares.filter(has).length, unreachable }
}

export async function headReplicas(env: Env, name: ObjectName, policy: number, now_ms: number): Promise<Found | null> {
  return await findNewest(env, name, policy, false, now_ms)
}

/** The newest version and all of its bytes. */
export async function getReplicas(env: Env, name: ObjectName, policy: number, now_ms: number): Promise<(Found & { body: ReadableStream<Uint8Array> }) | null> {
  const found = await findNewest(env, name, policy, true, now_ms)
  if (found === null) return null
  return { ...found, body: found.body ?? (await openRange(env, found, null, now_ms)) }
}

/** Bytes of the very version that was found: another version on a device is passed over. */
export async function openRange(env: Env, found: Found, range: [number, number] | null, now_ms: number): Promise<ReadableStream<Uint8Array>> {
  let last: unknown = null
  for (const device of found.devices) {
    const outcome = await attempt(env, device, now_ms, () => hostOf(env, device).objectGet(argsOf(found.at, device, timestampOf(now_ms), { range })))
    if (outcome.ok && outcome.value.head.etag === found.head.etag) return outcome.value.body
    if (outcome.ok) void outcome.value.body.cancel().catch(() => {})
    else last = outcome.error
  }
  if (isFault(last, 'not_found')) throw last
  throw swiftFault(503)
}
