/**
 * The plane as a door calls it: signed HTTP over kept connections. Calls that come together share a request. What cannot be reached is told apart from what was refused:
 * `Unreachable` means that nobody knows whether it was done.
 */
import { createHash } from 'node:crypto'
import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { DOOR_CALLS_MAX, type DoorCall, type DoorEvidence, type DoorFault, type DoorResult, type DoorState } from '../../schema/agent/door.ts'
import type { ObjectArgs, ObjectHead, ObjectOp } from '../../schema/agent/protocol.ts'
import { Fault, type FaultKind } from '../../schema/values/fault.ts'
import type { Identity } from '../identity.ts'

/** A call that is not answered by then is one that the plane does not answer. */
export const CALL_TIMEOUT_MS = 8_000
export const STREAM_IDLE_MS = 60_000
const SOCKETS_MAX = 256
/** Characters that the plane takes of a path, and of an account's or container's name. */
const PATH_MAX = 16_384
/** Of what of a request's head goes along with each call. */
const HEAD_MAX = 16_384
/** Of calls that share a request: well below what the plane reads. */
const BATCH_MAX = 1024 * 1024
const NAME_MAX = 2_048

export class Unreachable extends Fault {
  constructor(why: string) {
    super('unavailable', `The plane cannot be reached: ${why}.`)
  }
}
export const isUnreachable = (error: unknown): boolean => error instanceof Unreachable

export const faultFrom = ({ kind, message, ...extra }: DoorFault): Fault => new Fault(kind, message, extra)

interface Waiting {
  evidence: DoorEvidence
  call: Omit<DoorCall, 'evidence'>
  done(value: unknown): void
  failed(error: unknown): void
}

const headLength = ({ headers }: DoorEvidence): number => Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0)

/** How many of those that wait go together. */
function countOf(waiting: readonly Waiting[]): number {
  let [count, length] = [0, 0]
  for (const { evidence, call } of waiting) {
    length += evidence.path.length + headLength(evidence) + JSON.stringify(call).length
    if (count === DOOR_CALLS_MAX || (count > 0 && length > BATCH_MAX)) break
    count++
  }
  return count
}

export interface DoorPlane {
  state(rings: Record<string, number>, revocations: number): Promise<DoorState>
  call(evidence: DoorEvidence, call: Omit<DoorCall, 'evidence'>): Promise<unknown>
  /** In this very order. */
  deliver(calls: { evidence: DoorEvidence; call: Omit<DoorCall, 'evidence'> }[]): Promise<DoorResult[]>
  replica(evidence: DoorEvidence, op: ObjectOp, host: string, args: ObjectArgs, body: Readable | null): Promise<{ value: unknown; body: IncomingMessage | null }>
  /** A client's request as it is. */
  forward(method: string, path: string, headers: OutgoingHttpHeaders, body: Readable | null): Promise<IncomingMessage>
  /** A client's S3 request as it is; `client`: the digest of what is told of its head. */
  passS3(method: string, path: string, client: string, headers: OutgoingHttpHeaders, body: Readable | null): Promise<IncomingMessage>
  close(): void
}

export function createDoorPlane(plane: string, identity: Identity): DoorPlane {
  const origin = new URL(plane)
  const secure = origin.protocol === 'https:'
  const options = { keepAlive: true, maxSockets: SOCKETS_MAX, scheduling: 'lifo' } as const
  const agent = secure ? new https.Agent(options) : new http.Agent(options)
  const waiting: Waiting[] = []

  function open(method: string, path: string, headers: OutgoingHttpHeaders, timeout_ms: number, body: Readable | Buffer | null): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = (secure ? https : http).request({ protocol: origin.protocol, hostname: origin.hostname, port: origin.port, method, path, headers, agent })
      let answered = false
      request.setTimeout(timeout_ms, () => request.destroy(new Error(`no byte for ${timeout_ms} ms`)))
      request.on('response', (response) => {
        answered = true
        resolve(response)
      })
      // A connection kept too long breaks at its next use: what has no body of a client can be asked again.
      request.on('error', (error: NodeJS.ErrnoException) => {
        if (!answered && request.reusedSocket && !(body instanceof Readable) && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) return resolve(open(method, path, headers, timeout_ms, body))
        reject(new Unreachable(error.message))
      })
      if (body instanceof Readable) pipeline(body, request).catch((error: unknown) => request.destroy(error as Error))
      else request.end(body ?? undefined)
    })
  }

  async function json(method: string, path: string, text: string | null): Promise<unknown> {
    const body = text === null ? null : Buffer.from(text)
    const headers: OutgoingHttpHeaders = { authorization: identity.authorization(method, path), ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': body.byteLength }) }
    const response = await open(method, path, headers, CALL_TIMEOUT_MS, body)
    const answer = await readAll(response)
    const status = response.statusCode ?? 0
    if (status >= 500) throw new Unreachable(`it answered ${status}`)
    if (status !== 200) throw new Fault(status === 403 ? 'forbidden' : 'unavailable', `The plane refused the door: ${status} ${answer.toString().slice(0, 300)}`, { status: 503 })
    return JSON.parse(answer.toString())
  }

  async function send(batch: { evidence: DoorEvidence; call: Omit<DoorCall, 'evidence'> }[], ordered: boolean): Promise<DoorResult[]> {
    const evidence = [...new Set(batch.map((one) => one.evidence))]
    const text = JSON.stringify({ ordered, evidence, calls: batch.map((one) => ({ ...one.call, evidence: evidence.indexOf(one.evidence) })) })
    const path = `/agents/v1/door/calls?digest=${createHash('sha256').update(text).digest('base64url')}`
    return ((await json('POST', path, text)) as { results: DoorResult[] }).results
  }

  async function flush(): Promise<void> {
    const batch = waiting.splice(0, countOf(waiting))
    if (waiting.length > 0) setImmediate(() => void flush())
    try {
      const results = await send(batch, false)
      batch.forEach((one, n) => {
        const result = results[n]
        if (result?.ok) one.done(result.value)
        else one.failed(result === undefined ? new Unreachable('an answer is missing') : faultFrom(result.error))
      })
    } catch (error) {
      for (const one of batch) one.failed(error)
    }
  }

  return {
    state: async (rings, revocations) => (await json('GET', `/agents/v1/door/state?rings=${queryPart(JSON.stringify(rings))}&revocations=${revocations}`, null)) as DoorState,
    call: (evidence, call) =>
      new Promise((done, failed) => {
        // Calls share a request: one that the plane could not read would spoil those of others.
        if (evidence.path.length > PATH_MAX || headLength(evidence) > HEAD_MAX || call.account.length > NAME_MAX || (call.container?.length ?? 0) > NAME_MAX) return failed(new Fault('bad_request', 'A name, or the head of the request, is too long.'))
        waiting.push({ evidence, call, done, failed })
        if (waiting.length === 1) setImmediate(() => void flush())
      }),
    deliver: (calls) => send(calls, true),
    async replica(evidence, op, host, args, body) {
      const part = (value: unknown) => queryPart(JSON.stringify(value))
      const path = `/agents/v1/door/replicas?op=${op}&host=${host}&args=${part(args)}&evidence=${part(evidence)}`
      const response = await open('POST', path, { authorization: identity.authorization('POST', path), 'content-type': 'application/octet-stream', ...lengthOf(args, body) }, STREAM_IDLE_MS, body)
      return await replicaAnswer(response, op)
    },
    forward: (method, path, headers, body) => open(method, path, { ...headers, host: origin.host }, STREAM_IDLE_MS, body),
    passS3: (method, given, client, headers, body) => {
      const path = `/agents/v1/door/s3?path=${queryPart(given)}&client=${client}`
      return open(method, path, { ...headers, authorization: identity.authorization(method, path) }, STREAM_IDLE_MS, body)
    },
    close: () => agent.destroy(),
  }
}

/** Percent-encoded as a URL parser leaves it: what is signed is what arrives. */
export const queryPart = (text: string): string => encodeURIComponent(text).replace(/'/g, '%27')

export const lengthOf = (args: ObjectArgs, body: unknown): OutgoingHttpHeaders => (body === null ? { 'content-length': 0 } : typeof args.size_bytes === 'number' ? { 'content-length': args.size_bytes } : { 'transfer-encoding': 'chunked' })

/** What a plane or another door answers about one replica. */
export async function replicaAnswer(response: IncomingMessage, op: ObjectOp): Promise<{ value: unknown; body: IncomingMessage | null }> {
  const status = response.statusCode ?? 0
  const head = response.headers['x-skyhook-head']
  if (status === 200 && op === 'object.get' && typeof head === 'string') return { value: JSON.parse(decodeURIComponent(head)) as ObjectHead, body: response }
  const text = (await readAll(response)).toString()
  if (status === 200) return { value: JSON.parse(text), body: null }
  if (response.headers['x-skyhook-fault'] !== undefined) throw faultFrom((JSON.parse(text) as { error: DoorFault }).error)
  throw new Fault('unavailable' satisfies FaultKind, `a replica was answered with ${status}: ${text.slice(0, 200)}`)
}

export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}
