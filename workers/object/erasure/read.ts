/**
 * Finding an erasure-coded object: every device that may have fragments of it is asked what there is. The newest write that any of them knows to be acknowledged counts, and
 * fragments of it count wherever they lie, told or not. Where fewer than k are to be had the answer is "not now", never an older object.
 */
import { type Env, systemTimers, type Timers } from '../../../durable-objects/kernel/env.ts'
import type { FragmentFound, FragmentsFound, ObjectHead } from '../../../schema/agent/protocol.ts'
import { isUnopened, type SealedText } from '../../../schema/agent/sealing.ts'
import type { ErasureScheme } from '../../../schema/values/erasure.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { tellDoubts } from '../doubts.ts'
import { swiftFault } from '../errors.ts'
import type { ObjectName } from '../names.ts'
import { type Located, locate } from '../placement.ts'
import { argsOf, attempt, hostOf, quorumOf, streamOf } from '../replica-calls.ts'
import { type Copies, type Found, type Holders, isBehind, keysAway, newest, READ_STRAGGLER_MS, rootMissing, wordOf } from '../replicas-read.ts'
import type { RingDevice } from '../ring.ts'
import { timestampOf } from '../timestamp.ts'
import { Decoder } from './decoder.ts'
import { segmentKey } from './seal.ts'

interface Answer {
  device: RingDevice
  /** Null: it could not be asked. */
  found: FragmentsFound | null
  /** It is encrypted under a root secret that is not among ours. */
  root: string | null
  /** A record there does not open though its check sum holds. */
  unopened: boolean
}

/** What is known of the newest write that counts. */
interface Verdict {
  best: { at: string; heads: ObjectHead[]; scheme: ErasureScheme; devices: Map<number, RingDevice[]>; sealed: { mark: string; keys: SealedText[] } | null } | null
  /** Of the newest tombstone; '' where there is none. */
  gone: string
}

async function ask(env: Env, at: Located, device: RingDevice, now_ms: number): Promise<Answer> {
  const outcome = await attempt(env, device, now_ms, () => hostOf(env, device).objectFragments(argsOf(at, device, timestampOf(now_ms))))
  if (outcome.ok) return { device, found: outcome.value, root: null, unopened: false }
  return { device, found: null, root: rootMissing(outcome.error), unopened: isUnopened(outcome.error) }
}

/** Pure. */
function judge(answers: readonly Answer[]): Verdict {
  const gone = answers.reduce((last, { found }) => (found?.gone != null && found.gone > last ? found.gone : last), '')
  const all = answers.flatMap(({ device, found }) => (found?.fragments ?? []).map((fragment) => ({ device, fragment })))
  const top = all.filter(({ fragment }) => fragment.durable).reduce<FragmentFound | null>((best, { fragment }) => (best === null || fragment.at > best.at ? fragment : best), null)
  if (top === null) return { best: null, gone }
  const same = all.filter(({ fragment }) => fragment.at === top.at && fragment.head.etag === top.head.etag && fragment.sealed?.mark === top.sealed?.mark)
  const devices = new Map<number, RingDevice[]>()
  for (const { device, fragment } of same) devices.set(fragment.index, [...(devices.get(fragment.index) ?? []), device])
  const keys = new Map(same.flatMap(({ fragment: { sealed } }) => (sealed === undefined ? [] : [[sealed.key.text, sealed.key] as const])))
  return { best: { at: top.at, heads: same.map(({ fragment }) => fragment.head), scheme: top.scheme, devices, sealed: top.sealed === undefined ? null : { mark: top.sealed.mark, keys: [...keys.values()] } }, gone }
}

const isReadable = ({ best }: Verdict): boolean => best !== null && best.devices.size >= best.scheme.data

/** All answers, but not later than a moment after there is something to answer with. */
async function enough(works: Promise<Answer>[], quorum: number, timers: Timers): Promise<Answer[]> {
  const answers: Answer[] = []
  await new Promise<void>((resolve) => {
    let cancel: (() => void) | null = null
    for (const work of works) {
      void work.then((answer) => {
        answers.push(answer)
        const verdict = judge(answers)
        const heard = answers.filter(({ found }) => found !== null).length
        if (answers.length === works.length) {
          cancel?.()
          resolve()
        } else if (cancel === null && heard >= quorum && (isReadable(verdict) || (verdict.gone !== '' && verdict.gone >= (verdict.best?.at ?? '')))) cancel = timers.after(READ_STRAGGLER_MS, resolve)
      })
    }
  })
  // Who comes later is not heard.
  return [...answers]
}

/** The newest write that counts, or null. */
export async function findFragments(env: Env, name: ObjectName, policy: number, scheme: ErasureScheme, now_ms: number): Promise<Found | null> {
  const at = await locate(env, name, policy, now_ms)
  const order = [...at.primaries, ...at.formers]
  const quorum = Math.max(quorumOf(at.primaries.length), scheme.parity + 1)
  const answers = await enough(order.map((device) => ask(env, at, device, now_ms)), quorum, env.SIM?.timers ?? systemTimers)
  const isCertain = answers.length === order.length && answers.every(({ found }) => found !== null)
  let verdict = judge(answers)
  if (!isCertain || !isReadable(verdict)) {
    const handoffs = at.handoffs().slice(0, Math.max(1, at.primaries.length)).filter((device) => !at.formers.includes(device))
    answers.push(...(await Promise.all(handoffs.map((device) => ask(env, at, device, now_ms)))))
    verdict = judge(answers)
  }
  const { best, gone } = verdict
  const head = best === null ? null : newest(best.heads)
  const root = answers.find((one) => one.root !== null)?.root
  if (root != null && !isReadable(verdict)) throw keysAway(root)
  if (!isCertain) {
    const word = await wordOf(env, name)
    if (word !== null && isBehind(head, gone, word)) throw swiftFault(503)
    if (word?.deleted_at != null && (best === null || word.deleted_at >= best.at)) return null
  }
  if (best === null || head === null || gone >= best.at) {
    if (best === null && gone === '' && answers.filter(({ found }) => found !== null).length < quorum) throw swiftFault(503)
    return null
  }
  if (!isReadable(verdict)) throw swiftFault(503)
  const doubted = answers.filter(({ unopened }) => unopened).map(({ device }) => device)
  return { head, devices: [...new Set([...best.devices.values()].flat())], at, doubted, fragments: { scheme: best.scheme, at: best.at, devices: best.devices, ...(best.sealed === null ? {} : { sealed: { name, ...best.sealed } }) } }
}

/** Bytes of the very write that was found. */
export async function openFragments(env: Env, found: Found, range: [number, number] | null, now_ms: number): Promise<ReadableStream<Uint8Array>> {
  const { head, fragments } = found
  if (fragments === undefined) throw new Error('not an erasure-coded object')
  if (head.size_bytes === 0) return streamOf(new Uint8Array())
  const key = fragments.sealed === undefined ? null : await keyOf(env, found.at.name, fragments.at, fragments.sealed)
  const decoder = new Decoder({ env, at: found.at, head, holders: fragments, key, range: range ?? [0, head.size_bytes - 1], now_ms })
  // Something can be read before an answer is promised.
  await decoder.prime()
  await tellDoubts(env, (found.doubted ?? []).map((device) => ({ device, args: argsOf(found.at, device, fragments.at) })))
  return decoder.stream()
}

/** Its fragments may have it under different root secrets, and one may have been changed: any that opens will do. */
async function keyOf(env: Env, path: string, timestamp: string, { name, mark, keys }: NonNullable<Holders['sealed']>): Promise<Uint8Array> {
  let last: unknown = null
  for (const key of keys) {
    try {
      return await segmentKey(env, name, path, timestamp, { mark, key })
    } catch (error) {
      last = error
    }
  }
  const root = rootMissing(last)
  throw root === null ? swiftFault(503) : keysAway(root)
}

/** How many fragments of a write there are, and where. */
export async function copiesOfFragments(env: Env, at: Located, scheme: ErasureScheme, timestamp: string, now_ms: number): Promise<Copies> {
  const others = [...at.formers, ...at.handoffs().slice(0, at.primaries.length).filter((device) => !at.formers.includes(device))]
  const answers = await Promise.all([...at.primaries, ...others].map((device) => ask(env, at, device, now_ms).catch((error: unknown) => {
    if (!isFault(error)) throw error
    return { device, found: null, root: null, unopened: false }
  })))
  const { best } = judge(answers)
  const own = (index: number): boolean => {
    const device = at.slots[index]
    return device != null && (best?.devices.get(index) ?? []).includes(device)
  }
  const isThere = best !== null && best.at >= timestamp
  const unreachable = answers.filter(({ device, found }) => found === null && at.primaries.includes(device)).length
  const numbers = Array.from({ length: scheme.data + scheme.parity }, (_, index) => index)
  const held = isThere ? numbers.filter(own).length : 0
  const extra = isThere ? [...best.devices].reduce((sum, [index, devices]) => sum + devices.filter((device) => device !== at.slots[index]).length, 0) : 0
  return { copies: isThere ? best.devices.size : 0, missing: Math.max(0, at.primaries.length - held - unreachable), extra, unreachable, needed: scheme.data }
}
