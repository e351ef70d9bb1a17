/**
 * Writing an erasure-coded object: its bytes are cut into segments, each into k + m fragments, which go to as many hosts while they come. Two steps: every host writes its fragment, at
 * the end with what is known of the whole object, under a name that does not count; when more than k have it on disk, they are told that it counts. So a write that breaks off
 * shows nowhere, and what it would have replaced stays whole until then.
 */
import { type Env, systemTimers } from '../../../durable-objects/kernel/env.ts'
import { FRAGMENT_FOOTER_BYTES, type FragmentFooter, type ObjectArgs, type ObjectFacts, type ObjectHead } from '../../../schema/agent/protocol.ts'
import type { Sealing } from '../../../schema/agent/sealing.ts'
import { archiveBytes, encodeSegment, type ErasureScheme } from '../../../schema/values/erasure.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { sealingFor } from '../encryption/keymaster.ts'
import { swiftFault } from '../errors.ts'
import type { ObjectName } from '../names.ts'
import { type Located, locate } from '../placement.ts'
import { attempt, avoided, hostOf, isLost, type Outcome, quorumOf, streamOf, tombstoneArgs as placeOf } from '../replica-calls.ts'
import { BUFFER_BYTES_MAX, choose, type PutOptions, quorumFirst, readAll, settle } from '../replicas-write.ts'
import type { RingDevice } from '../ring.ts'
import { Fan } from './fan.ts'
import { type SegmentSealer, sealedScheme, sealerFor } from './seal.ts'
import { Learned } from './facts.ts'

/** Fragments that must be on disks before a write counts: one may be lost at once, and no older write has as many left. */
export const quorumOfFragments = ({ data, parity }: ErasureScheme): number => Math.max(data + 1, quorumOf(data + parity))

interface Write {
  env: Env
  at: Located
  scheme: ErasureScheme
  sealing: Sealing | undefined
  /** Null where it is not encrypted. */
  sealer: SegmentSealer | null
  options: PutOptions
  quorum: number
  now_ms: number
}

/** A fragment on a device. */
interface Taken {
  index: number
  head: ObjectHead
}

export async function putFragments(env: Env, name: ObjectName, policy: number, scheme: ErasureScheme, body: ReadableStream<Uint8Array> | Uint8Array | null, options: PutOptions, now_ms: number): Promise<ObjectHead> {
  const at = await locate(env, name, policy, now_ms)
  const sealing = sealingFor(at.sealing, options.seal)
  const sealer = sealing?.seal === true ? await sealerFor(env, name, at.name, options.timestamp) : null
  const write: Write = { env, at, scheme: sealer === null ? scheme : sealedScheme(scheme), sealing, sealer, options, quorum: quorumOfFragments(scheme), now_ms }
  let source = body ?? new Uint8Array()
  if (!(source instanceof Uint8Array) && options.size !== null && options.size <= BUFFER_BYTES_MAX) source = await readAll(source)
  const outcomes = source instanceof Uint8Array ? await putHeld(write, source) : await putStreamed(write, source)
  const { head } = await settle(env, at, outcomes, false, write.quorum)
  await commit(write, outcomes)
  return head
}

/** JSON of what is known at the end, in as many bytes as every footer has. */
function footerOf(facts: ObjectFacts, { sealer }: Write): Uint8Array {
  const footer = new Uint8Array(FRAGMENT_FOOTER_BYTES).fill(32)
  const { inspection, ...rest } = facts
  const said: FragmentFooter = { ...rest, ...(inspection === undefined ? {} : { inspection: { ...inspection, problem: inspection.problem?.slice(0, PROBLEM_CHARACTERS_MAX) ?? null } }), ...(sealer === null ? {} : { sealed: sealer.footer }) }
  const text = new TextEncoder().encode(JSON.stringify(said))
  if (text.byteLength > footer.byteLength) throw new Fault('internal', 'what is known of the object is longer than its footer')
  footer.set(text)
  return footer
}
const PROBLEM_CHARACTERS_MAX = 500

const argsFor = ({ at, scheme, sealing, options }: Write, index: number, device: RingDevice, size: number | null): ObjectArgs =>
  ({ ...placeOf(at, device, options.timestamp), metadata: options.metadata, size_bytes: size === null ? null : archiveBytes(scheme, size) + FRAGMENT_FOOTER_BYTES, fragment: { index, scheme }, ...(sealing?.seal === true ? { sealing } : {}) })

/** Fragments of their own, as each goes its own way; parity is made for one reader already. */
function piecesOf({ scheme, sealer }: Write, plain: Uint8Array): Uint8Array[] {
  const segment = sealer === null ? plain : sealer.seal(plain)
  return encodeSegment(scheme, segment).map((fragment) => (fragment.buffer === segment.buffer ? fragment.slice() : fragment))
}

// ---------------------------------------------------------------- a body in hand

async function putHeld(write: Write, bytes: Uint8Array): Promise<Outcome<Taken>[]> {
  const { env, scheme, options } = write
  const learned = new Learned(options)
  learned.push(bytes)
  const footer = footerOf(learned.finish(), write)
  const archives: Uint8Array[][] = Array.from({ length: scheme.data + scheme.parity }, () => [])
  for (let from = 0; from < bytes.byteLength; from += scheme.segment_bytes) for (const [n, piece] of piecesOf(write, bytes.subarray(from, from + scheme.segment_bytes)).entries()) archives[n]?.push(piece)
  return await eachSlot(write, async (index, device) => ({ index, head: await hostOf(env, device).objectPut(argsFor(write, index, device, bytes.byteLength), streamOf(joined([...(archives[index] ?? []), footer]))) }))
}

/** No Buffer, whose memory is others' too: what goes to a host is handed over. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.byteLength
  }
  return out
}

/** Each fragment to its primary, or in its place to the next handoff that answers. Primaries that were passed over are tried after all where no other took it. */
async function eachSlot(write: Write, work: (index: number, device: RingDevice) => Promise<Taken>): Promise<Outcome<Taken>[]> {
  const { env, at, scheme, now_ms } = write
  const rest = at.handoffs()
  const passed: [number, RingDevice][] = []
  const outcomes = await Promise.all(Array.from({ length: scheme.data + scheme.parity }, async (_, index) => {
    const primary = at.slots[index] ?? null
    const isPassed = primary !== null && avoided(env, primary.host_id, now_ms) && rest.length > 0
    if (isPassed) passed.push([index, primary])
    let device = primary === null || isPassed ? rest.shift() : primary
    let outcome: Outcome<Taken> | null = null
    while (device !== undefined) {
      const target: RingDevice = device
      outcome = await attempt(env, target, now_ms, () => work(index, target))
      if (outcome.ok || !isLost(outcome.error)) return outcome
      device = rest.shift()
    }
    return outcome
  }))
  const known = outcomes.filter((outcome) => outcome !== null)
  const done = new Set(known.filter((one) => one.ok).map((one) => one.value.index))
  const isHeld = known.some((one) => one.ok && at.primaries.includes(one.device))
  if (!isHeld || done.size < write.quorum) known.push(...(await Promise.all(passed.filter(([index]) => !done.has(index)).map(([index, primary]) => attempt(env, primary, now_ms, () => work(index, primary))))))
  return known
}

// ---------------------------------------------------------------- a body on its way

/** Where each fragment goes: a stream can be written once only, so hosts are asked beforehand whether they are there. */
async function targetsOf({ env, at, scheme, now_ms }: Write): Promise<{ index: number; device: RingDevice }[]> {
  const spares = at.handoffs()
  const slots = Array.from({ length: scheme.data + scheme.parity }, (_, index) => ({ index, primary: at.slots[index] ?? spares.shift() ?? null })).filter((slot): slot is { index: number; primary: RingDevice } => slot.primary !== null)
  const devices = await choose(env, slots.map(({ primary }) => primary), spares, now_ms)
  return slots.map(({ index, primary }, n) => ({ index, device: devices[n] ?? primary }))
}

async function putStreamed(write: Write, body: ReadableStream<Uint8Array>): Promise<Outcome<Taken>[]> {
  const { env, options, quorum, now_ms } = write
  const targets = await targetsOf(write)
  const timers = env.SIM?.timers ?? systemTimers
  const fan = new Fan(targets.length, quorum, timers)
  const works = targets.map(async ({ index, device }, n) => {
    const outcome = await attempt(env, device, now_ms, async () => ({ index, head: await hostOf(env, device).objectPut(argsFor(write, index, device, options.size), fan.stream(n)) }))
    if (!outcome.ok) fan.drop(n)
    return outcome
  })
  const order = new Map(targets.map(({ index }, n) => [index, n]))
  const spread = (pieces: Uint8Array[]) => fan.write(pieces.map((_, n) => n).flatMap((n) => (order.has(n) ? [pieces[n] as Uint8Array] : [])))
  try {
    await pour(write, body, fan, spread)
  } catch (error) {
    // What a client does says nothing about hosts.
    fan.abort(isFault(error) ? error : new Fault('client_closed', 'the body broke off', { cause: error }))
    await Promise.all(works)
    throw isFault(error) ? error : swiftFault(499)
  }
  return await quorumFirst(works, timers, quorum)
}

/** Reads the body to its end, a segment at a time. Where too few hosts are left it stops: their answers tell why. */
async function pour(write: Write, body: ReadableStream<Uint8Array>, fan: Fan, spread: (pieces: Uint8Array[]) => Promise<boolean>): Promise<void> {
  const { scheme, options } = write
  const learned = new Learned(options)
  const reader = body.getReader()
  const segment = new Uint8Array(scheme.segment_bytes)
  let held = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      learned.push(value)
      for (let at = 0; at < value.byteLength; ) {
        const take = Math.min(value.byteLength - at, segment.byteLength - held)
        segment.set(value.subarray(at, at + take), held)
        held += take
        at += take
        if (held < segment.byteLength) continue
        held = 0
        if (!(await spread(piecesOf(write, segment)))) return await stop(reader, fan)
      }
    }
    const footer = footerOf(learned.finish(), write)
    if (held > 0 && !(await spread(piecesOf(write, segment.subarray(0, held))))) return await stop(reader, fan)
    await spread(Array.from({ length: scheme.data + scheme.parity }, () => footer.slice()))
    fan.end()
  } catch (error) {
    await reader.cancel(error).catch(() => {})
    throw error
  }
}

async function stop(reader: ReadableStreamDefaultReader<Uint8Array>, fan: Fan): Promise<void> {
  fan.abort(new Fault('unavailable', 'too few hosts take fragments'))
  await reader.cancel().catch(() => {})
}

// ---------------------------------------------------------------- the second step

/** Tells all that have a fragment that it counts. Enough must have heard it, one that readers always ask among them. */
async function commit({ env, at, options, quorum, now_ms }: Write, outcomes: readonly Outcome<Taken>[]): Promise<void> {
  const holders = outcomes.filter((one) => one.ok).map((one) => one.device)
  const works = holders.map((device) => attempt(env, device, now_ms, async () => {
    try {
      return await hostOf(env, device).objectCommit(placeOf(at, device, options.timestamp))
    } catch (error) {
      // It was there a moment ago: the disk has changed meanwhile.
      throw isFault(error, 'not_found') ? new Fault('unavailable', 'the fragment is no longer there', { cause: error }) : error
    }
  }))
  const told = await quorumFirst(works, env.SIM?.timers ?? systemTimers, quorum)
  await settle(env, at, told, false, quorum)
  if (!told.some((one) => one.ok && at.primaries.includes(one.device))) throw swiftFault(503)
}
