/**
 * S3 through a door: requests that move an object's bytes are served here by the dialect's own handlers, all others are the plane's and passed on as they are. Keys stay with the plane
 * (unless the operator has it otherwise): it says who signed each request, and checks the signatures of a body's chunks while the bytes stay on site.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import type { Env } from '../../durable-objects/kernel/env.ts'
import { type DoorEvidence, type DoorS3, PASSED_HEADER, type PassedHead, type S3DoorKey, type S3Verdict } from '../../schema/agent/door.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import type { Scope } from '../../workers/http/sigv4.ts'
import { addressOf, recognise } from '../../workers/object/s3/address.ts'
import { movesBytes } from '../../workers/object/s3/onsite.ts'
import type { Timers } from '../timers.ts'
import { evidenceNow, passes } from './evidence.ts'
import { fanOf } from './fan.ts'
import { type DoorPlane, isUnreachable } from './plane.ts'
import type { Presence } from './presence.ts'
import { hasBody, headersOf } from './request.ts'

/** What of the head says what a request may do: the rest only where it is signed. */
const KEPT = new Set(['authorization', 'host', 'date', 'content-md5', 'content-type', 'referer', 'user-agent', 'cf-connecting-ip', 'x-forwarded-proto'])
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'proxy-connection', 'te', 'trailer', 'upgrade', 'host', 'expect', 'cf-connecting-ip', 'authorization'])

const offline = (): Fault => new Fault('unavailable', 'The plane cannot be reached, and who signed this is known there only.', { headers: { 'retry-after': '5' } })

/** What the dialect's own look at a request needs of it, over Node's message. */
function asRequest(message: IncomingMessage): Request {
  const { headers } = message
  const get = (name: string): string | null => {
    const value = headers[name]
    return value === undefined ? null : String(value)
  }
  return { method: message.method ?? 'GET', url: `http://${headers.host ?? 'door'}${message.url ?? '/'}`, headers: { get, has: (name: string) => headers[name] !== undefined } } as unknown as Request
}

/** `claimed`: the path is one that the door has something else for. */
export function isS3(message: IncomingMessage, env: Env, claimed: boolean): boolean {
  const path = message.url ?? '/'
  if (/^\/s3(?:[/?]|$)/.test(path)) return true
  const request = asRequest(message)
  return URL.canParse(request.url) && recognise(request, env, new URL(request.url), claimed)
}

/** Whether the door's own disks serve it. What can't be read is for the plane to refuse. */
export function isOnSite(message: IncomingMessage, env: Env): boolean {
  const request = asRequest(message)
  try {
    return movesBytes(request.method, addressOf(request, env), new URL(request.url).searchParams)
  } catch (error) {
    if (isFault(error) || error instanceof TypeError) return false
    throw error
  }
}

export function evidenceOfS3(message: IncomingMessage, headers: Headers, now_ms: number): DoorEvidence {
  const path = message.url ?? '/'
  const signed = /SignedHeaders=([^,\s&]+)/i.exec(headers.get('authorization') ?? path)?.[1] ?? ''
  const names = new Set(decodeURIComponent(signed).split(';'))
  const kept: Record<string, string> = {}
  for (const [name, value] of headers) if (name.startsWith('x-amz-') || KEPT.has(name) || names.has(name)) kept[name] = value
  return { dialect: 's3', method: message.method ?? 'GET', path, headers: kept, begun_ms: now_ms }
}

/** The calls that the handlers make of the plane, for whichever request they are serving. */
export function s3AtPlane(plane: DoorPlane, presence: Presence, timers: Timers): DoorS3 {
  const ask = async (method: string, args: unknown[]): Promise<unknown> => {
    if (!presence.online) throw offline()
    try {
      return await plane.call(evidenceNow(), { on: 'identity', account: '', container: null, method, args })
    } catch (error) {
      if (isUnreachable(error)) presence.lost(error, method)
      throw error
    }
  }
  return {
    signer: async () => (await ask('s3Signer', [])) as S3Verdict | null,
    chunks: async (links) => void (await ask('s3Chunks', [links])),
    // As a message that says of itself that it is whole: one that breaks off does so with an error.
    fan: (body) => fanOf(Object.assign(Readable.fromWeb(body as unknown as NodeStream), { complete: true }) as unknown as IncomingMessage, timers),
    pass: async () => {
      const pass = passes.get(evidenceNow())
      if (pass === undefined) throw new Fault('internal', 'work of a door without a request')
      return await pass()
    },
  }
}

/** Keys that are remembered. */
export const KEYS_MAX = 1_000
/** A key is of one day, and a request's clock may be off by a quarter of an hour. */
const KEY_LIFE_MS = 24 * 3_600_000 + 15 * 60_000

/**
 * Keys of a day, where the operator has them told to doors (OPTIONS s3.door_keys): in memory alone. With the plane there each is asked for as often as the handlers want to hear of it;
 * without, one that was used here is good until its day is over, but for what was revoked as far as this door heard.
 */
export class S3Keys {
  #plane: DoorPlane
  #presence: Presence
  #known = new Map<string, S3DoorKey>()

  constructor(plane: DoorPlane, presence: Presence) {
    this.#plane = plane
    this.#presence = presence
  }

  async key({ access, date, region, service }: Scope & { access: string }): Promise<{ signing_key: Uint8Array; caller: S3DoorKey['caller'] }> {
    const name = `${access} ${date} ${region} ${service}`
    const found = (await this.#ask(name)) ?? this.#remembered(name, date)
    return { signing_key: new Uint8Array(Buffer.from(found.signing_key, 'base64')), caller: found.caller }
  }

  /** Null where the plane can't be asked. */
  async #ask(name: string): Promise<S3DoorKey | null> {
    if (!this.#presence.online) return null
    try {
      const key = (await this.#plane.call(evidenceNow(), { on: 'identity', account: '', container: null, method: 's3Key', args: [] })) as S3DoorKey
      if (this.#known.size >= KEYS_MAX) this.#known.delete(this.#known.keys().next().value ?? '')
      this.#known.set(name, key)
      return key
    } catch (error) {
      if (isUnreachable(error)) this.#presence.lost(error, 's3Key')
      // One request with a wrong signature says nothing against the key.
      else throw error
      return null
    }
  }

  #remembered(name: string, date: string): S3DoorKey {
    const known = this.#known.get(name)
    const until_ms = Date.parse(date.replace(/^(....)(..)(..)$/, '$1-$2-$3T00:00:00Z')) + KEY_LIFE_MS
    if (known === undefined || this.#presence.now_ms() > until_ms) throw offline()
    if (this.#presence.isRevoked({ ...known.caller, request_id: '' })) {
      this.#known.delete(name)
      throw new Fault('unauthorized', 'The key was revoked.')
    }
    return known
  }
}

/** The request as it is, answered by the plane. */
export async function passOn({ plane, presence }: { plane: DoorPlane; presence: Presence }, message: IncomingMessage): Promise<Response> {
  if (!presence.online) throw new Fault('unavailable', 'The plane cannot be reached, and all of S3 but the bytes of objects is there only.', { headers: { 'retry-after': '5' } })
  const told: PassedHead = { host: message.headers.host ?? '', authorization: message.headers.authorization ?? null, client_ip: (message.socket.remoteAddress ?? '').replace(/^::ffff:/, '') }
  const head = Buffer.from(JSON.stringify(told)).toString('base64url')
  const headers: OutgoingHttpHeaders = { [PASSED_HEADER]: head }
  for (const [name, value] of headersOf(message)) if (!HOP_BY_HOP.has(name) && name !== PASSED_HEADER) headers[name] = value
  if (hasBody(message) && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked'
  let answer: IncomingMessage
  try {
    answer = await plane.passS3(message.method ?? 'GET', message.url ?? '/', createHash('sha256').update(head).digest('base64url'), headers, hasBody(message) ? message : null)
  } catch (error) {
    if (isUnreachable(error)) presence.lost(error, 's3')
    throw error
  }
  const kept = Object.entries(answer.headers).filter(([name, value]) => !HOP_BY_HOP.has(name) && value !== undefined).map(([name, value]): [string, string] => [name, String(value)])
  const status = answer.statusCode ?? 502
  const isBare = message.method === 'HEAD' || status === 204 || status === 304
  if (isBare) answer.resume()
  return new Response(isBare ? null : (Readable.toWeb(answer) as unknown as BodyInit), { status, headers: kept })
}
