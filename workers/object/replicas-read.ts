/**
 * Reading replicas: every device that may have the object is asked, those that a partition is moving away from as well; the newest wins, a tombstone is a version too. All
 * primaries heard is certainty, for every acknowledged write is on one of them. Where one is silent the handoffs are asked as well, and the container: should it know of something
 * newer than what was found, the answer is "not now", never an old object.
 */
import { type Env, systemTimers, type Timers } from '../../durable-objects/kernel/env.ts'
import type { FoundHere, ObjectHead } from '../../schema/agent/protocol.ts'
import { faultOf } from '../../schema/agent/wire.ts'
import { isUnopened, type SealedText } from '../../schema/agent/sealing.ts'
import type { ErasureScheme } from '../../schema/values/erasure.ts'
import { type Fault, isFault } from '../../schema/values/fault.ts'
import { tellDoubts } from './doubts.ts'
import { swiftFault } from './errors.ts'
import { containerKey, type ObjectName } from './names.ts'
import { type Located, locate, nearHandoffs } from './placement.ts'
import { argsOf, attempt, avoided, hostOf, type Outcome, quorumOf } from './replica-calls.ts'
import type { RingDevice } from './ring.ts'
import { timestampOf } from './timestamp.ts'

export const READ_STRAGGLER_MS = 250

/** A short one is there whole. */
export type Body = ReadableStream<Uint8Array> | Uint8Array

export interface Found {
  head: ObjectHead
  /** Devices that have these bytes, the best first. */
  devices: RingDevice[]
  at: Located
  /** Devices where it does not open though its check sums hold. */
  doubted?: RingDevice[]
  /** Of an erasure-coded object: what its bytes are put together from. */
  fragments?: Holders
}

/** Fragments of one write. */
export interface Holders {
  scheme: ErasureScheme
  /** Timestamp of the write. */
  at: string
  /** Number -> devices that have it. */
  devices: Map<number, RingDevice[]>
  /** Where it is encrypted: the mark of the write, and its key as its fragments have it. */
  sealed?: { name: ObjectName; mark: string; keys: SealedText[] }
}

export interface Answer {
  device: RingDevice
  head: ObjectHead | null
  body?: Body
  /** Timestamp of a tombstone. */
  gone: string | null
  lost: boolean
  /** It is encrypted under a root secret that is not among ours. */
  root: string | null
  /** It does not open there though its check sums hold. */
  unopened?: boolean
}

export const dataAt = (head: ObjectHead): string => head.data_at ?? head.timestamp
const isNewer = (a: ObjectHead, b: ObjectHead): boolean => dataAt(a) > dataAt(b) || (dataAt(a) === dataAt(b) && a.timestamp > b.timestamp)

/** The newest data, and of that the newest metadata: a POST over old data does not make it new. */
export const newest = (heads: ObjectHead[]): ObjectHead => heads.reduce((best, head) => (isNewer(head, best) ? head : best))

/** Devices that can go on in the middle of a body, should the first one fail. */
const sparesOf = (at: Located, devices: readonly RingDevice[], first: RingDevice, now_ms: number) =>
  devices.filter((device) => device !== first).map((device) => ({ host_id: device.host_id, args: argsOf(at, device, timestampOf(now_ms)) }))

const drop = (body: Body | null | undefined): void => {
  if (body instanceof ReadableStream) void body.cancel().catch(() => {})
}

export async function ask(env: Env, at: Located, device: RingDevice, now_ms: number): Promise<Answer> {
  return meaning(await attempt(env, device, now_ms, () => hostOf(env, device).objectHead(argsOf(at, device, timestampOf(now_ms)))), null)
}

/** Devices of one host are asked in one call, and so is the one that is to send the body: the first. */
function askEach(env: Env, at: Located, order: readonly RingDevice[], withBody: boolean, now_ms: number): Promise<Answer>[] {
  const together = new Map<string, RingDevice[]>()
  for (const device of order) together.set(device.host_id, [...(together.get(device.host_id) ?? []), device])
  const asked = new Map([...together].map(([id, devices]) => [id, withBody && devices[0] === order[0] ? askOne(env, at, devices, true, now_ms) : devices.length > 1 ? askOne(env, at, devices, false, now_ms) : null]))
  return order.map((device) => asked.get(device.host_id)?.then((answers) => answers.find((one) => one.device === device) as Answer) ?? ask(env, at, device, now_ms))
}

/** One host about several of its devices, and for the body of the first. */
async function askOne(env: Env, at: Located, devices: readonly RingDevice[], withBody: boolean, now_ms: number): Promise<Answer[]> {
  const [first] = devices as [RingDevice]
  const args = { at: argsOf(at, first, timestampOf(now_ms)), also: devices.slice(1).map(({ device }) => device), body: withBody }
  const outcome = await attempt(env, first, now_ms, () => hostOf(env, first).objectsFind(args, withBody ? sparesOf(at, [...at.primaries, ...at.formers], first, now_ms) : []))
  if (!outcome.ok) return devices.map((device) => meaning({ ...outcome, device }, null))
  const { found, body } = outcome.value
  return devices.map((device, n) => meaning(told(device, found[n]), n === 0 ? body : null))
}

const told = (device: RingDevice, one: FoundHere | undefined): Outcome<ObjectHead> =>
  one !== undefined && 'head' in one ? { ok: true, value: one.head, device } : { ok: false, error: one === undefined ? swiftFault(503) : faultOf(one.error), device }

function meaning(outcome: Outcome<ObjectHead>, body: Body | null): Answer {
  const { device } = outcome
  // A host that is not able to open it (an agent of an earlier build) has nothing to say of it.
  if (outcome.ok && outcome.value.etag === '') {
    drop(body)
    return { device, head: null, gone: null, lost: true, root: null }
  }
  if (outcome.ok) return { device, head: outcome.value, gone: null, lost: false, root: null, ...(body === null ? {} : { body }) }
  const missing = isFault(outcome.error, 'not_found')
  const gone = missing ? ((outcome.error as Fault).details as { timestamp?: string } | undefined)?.timestamp : undefined
  return { device, head: null, gone: gone ?? null, lost: !missing, root: rootMissing(outcome.error), unopened: isUnopened(outcome.error) }
}

/** `details.root`: see schema/agent/sealing.ts. */
export function rootMissing(error: unknown): string | null {
  const root = isFault(error, 'internal') ? (error.details as { root?: unknown } | null | undefined)?.root : undefined
  return typeof root === 'string' ? root : null
}

export const keysAway = (root: string): Fault => swiftFault(503, `The object is encrypted under the root secret ${root}, whose keys are not here: the deployment does not have it (OBJECT_KEYS), or this is a door that did not ask its plane for them in time.`)

/** What the answers say together. */
function judge(answers: readonly Answer[]): { best: ObjectHead | null; gone: string } {
  const heads = answers.map((one) => one.head).filter((head) => head !== null)
  return { best: heads.length === 0 ? null : newest(heads), gone: answers.reduce((last, one) => (one.gone !== null && one.gone > last ? one.gone : last), '') }
}

/**
 * The newest version, or null. With `withBody` the first device starts sending at once; should another have something newer, its stream is dropped and the newer one is opened.
 */
async function findNewest(env: Env, name: ObjectName, policy: number, withBody: boolean, now_ms: number): Promise<(Found & { body?: Body }) | null> {
  const at = await locate(env, name, policy, now_ms)
  const order = [...[...at.primaries].sort((a, b) => Number(avoided(env, a.host_id, now_ms)) - Number(avoided(env, b.host_id, now_ms))), ...at.formers]
  const quorum = quorumOf(at.primaries.length)
  const answers = await enough(askEach(env, at, order, withBody, now_ms), at.primaries, quorum, env.SIM?.timers ?? systemTimers)
  const isCertain = answers.length === order.length && answers.every((one) => !one.lost)
  const isKnown = answers.some((one) => one.head !== null || one.gone !== null)
  if (!isCertain || !isKnown) answers.push(...(await Promise.all(nearHandoffs(at).map((device) => ask(env, at, device, now_ms)))))
  const { best, gone } = judge(answers)
  const root = answers.find((one) => one.root !== null)?.root
  if (best === null && root != null) throw keysAway(root)
  const body = answers.find((one) => one.body !== undefined)
  if (!isCertain) {
    const word = await wordOf(env, name)
    if (word !== null && isBehind(best, gone, word)) {
      drop(body?.body)
      throw swiftFault(503)
    }
    if (word?.deleted_at != null && (best === null || word.deleted_at >= dataAt(best))) {
      drop(body?.body)
      return null
    }
  }
  if (best === null || gone >= dataAt(best)) {
    drop(body?.body)
    if (best === null && gone === '' && answers.filter((one) => !one.lost).length < quorum) throw swiftFault(503)
    return null
  }
  const holders = answers.filter((one) => one.head !== null && dataAt(one.head) === dataAt(best) && one.head.etag === best.etag).sort((a, b) => Number(b.head?.timestamp === best.timestamp) - Number(a.head?.timestamp === best.timestamp))
  const devices = holders.map((one) => one.device)
  const found: Found = { head: best, devices, at, doubted: answers.filter((one) => one.unopened === true).map((one) => one.device) }
  if (body?.body !== undefined && holders.includes(body)) return { ...found, body: body.body }
  drop(body?.body)
  return found
}

export interface Word {
  at: string | null
  modified_at: string | null
  deleted_at: string | null
}

/** What the container knows of an object; null where it can't be asked: then what the disks say must do. */
export async function wordOf(env: Env, name: ObjectName): Promise<Word | null> {
  // A version's bytes lie under a name of their own and never change: any replica is the right one.
  if (name.container.startsWith('\0')) return null
  try {
    return await env.CONTAINER.getByName(containerKey(name.account, name.container)).word(name.object)
  } catch (error) {
    // A refusal is a mistake of ours, not a container that is away.
    if (isFault(error) && error.kind !== 'unavailable') throw error
    return null
  }
}

/** The container has acknowledged something that none of those who answered has. */
export function isBehind(best: ObjectHead | null, gone: string, word: Word): boolean {
  if (word.at === null) return false
  if (gone > word.at) return false
  if (best === null || dataAt(best) < word.at) return true
  return dataAt(best) === word.at && word.modified_at !== null && best.timestamp < word.modified_at
}

/**
 * All answers, but not later than a moment after a quorum knew something of the object. Late streams are dropped.
 */
async function enough(works: Promise<Answer>[], primaries: readonly RingDevice[], quorum: number, timers: Timers): Promise<Answer[]> {
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
          drop(answer.body)
          return
        }
        answers.push(answer)
        const heard = answers.filter((one) => !one.lost && primaries.includes(one.device))
        if (answers.length === works.length) close()
        else if (cancel === null && heard.length >= quorum && answers.some((one) => one.head !== null || one.gone !== null)) cancel = timers.after(READ_STRAGGLER_MS, close)
      })
    }
  })
  return answers
}

export interface Copies {
  /** Devices that have this version or a newer one, primaries and others. */
  copies: number
  /** Primaries without it. */
  missing: number
  /** Devices beside the primaries that have it: to be drained. */
  extra: number
  /** Primaries that could not be asked. */
  unreachable: number
  /** Copies without which nothing can be read; a quorum where it is not said. */
  needed?: number
}

export async function copiesOf(env: Env, at: Located, timestamp: string, now_ms: number): Promise<Copies> {
  const has = (answer: Answer) => answer.head !== null && dataAt(answer.head) >= timestamp
  const answers = await Promise.all(at.primaries.map((device) => ask(env, at, device, now_ms)))
  const held = answers.filter(has).length
  const unreachable = answers.filter((answer) => answer.lost).length
  const others = await Promise.all([...at.formers, ...at.handoffs().slice(0, at.primaries.length).filter((device) => !at.formers.includes(device))].map((device) => ask(env, at, device, now_ms)))
  const extra = others.filter(has).length
  return { copies: held + extra, missing: answers.length - held - unreachable, extra, unreachable }
}

export async function headReplicas(env: Env, name: ObjectName, policy: number, now_ms: number): Promise<Found | null> {
  return await findNewest(env, name, policy, false, now_ms)
}

/** The newest version and all of its bytes. */
export async function getReplicas(env: Env, name: ObjectName, policy: number, now_ms: number): Promise<(Found & { body: Body }) | null> {
  const found = await findNewest(env, name, policy, true, now_ms)
  if (found === null) return null
  if (found.body === undefined) return { ...found, body: await openRange(env, found, null, now_ms) }
  await tellDoubted(env, found, found.doubted ?? [], null)
  return { ...found, body: found.body }
}

/** A body was opened: its first block was read right before it was promised. */
async function tellDoubted(env: Env, { head, at }: Found, doubted: readonly RingDevice[], range: [number, number] | null): Promise<void> {
  const first = range?.[0] ?? 0
  const place = { range: head.size_bytes === 0 ? null : ([first, first] as [number, number]) }
  await tellDoubts(env, doubted.map((device) => ({ device, args: argsOf(at, device, dataAt(head), place) })))
}

/** Bytes of the very version that was found: another version on a device is passed over. */
export async function openRange(env: Env, found: Found, range: [number, number] | null, now_ms: number): Promise<ReadableStream<Uint8Array>> {
  let last: unknown = null
  const doubted = [...(found.doubted ?? [])]
  for (const device of found.devices) {
    const outcome = await attempt(env, device, now_ms, () => hostOf(env, device).objectGet(argsOf(found.at, device, timestampOf(now_ms), { range }), sparesOf(found.at, found.devices, device, now_ms)))
    if (outcome.ok && dataAt(outcome.value.head) === dataAt(found.head) && outcome.value.head.etag === found.head.etag) {
      await tellDoubted(env, found, doubted, range)
      return outcome.value.body
    }
    if (outcome.ok) void outcome.value.body.cancel().catch(() => {})
    else {
      last = outcome.error
      if (isUnopened(last)) doubted.push(device)
    }
  }
  if (isFault(last, 'not_found')) throw last
  throw swiftFault(503)
}
