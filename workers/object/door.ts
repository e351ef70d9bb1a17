/**
 * What a door may ask of containers, accounts and replicas. A door is trusted with nothing of its own: each call comes with the head of a client's request, and that request is
 * judged here as if it had come here (token, revocation, signature, ACL). The call is done only where the request has the right to it.
 */
import { type Env, IDENTITY_NAME } from '../../durable-objects/kernel/env.ts'
import { DOOR_DELAY_MAX_MS, type DoorCall, type DoorEvidence } from '../../schema/agent/door.ts'
import { HOST_CLOCK_SKEW_MS, type ObjectArgs, type ObjectOp } from '../../schema/agent/protocol.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { rulesAllow } from '../http/access-rules.ts'
import { Address } from '../http/address.ts'
import { authenticate } from '../http/auth.ts'
import { Context } from '../http/context.ts'
import { Policy } from '../http/policy.ts'
import { type ObjectRow, versionId } from './container/rows.ts'
import { containerKeys, sealingFor } from './encryption/keymaster.ts'
import { tempUrl } from './features/tempurl.ts'
import { type ObjectName, PREFIX, containerKey, splitContainerObject } from './names.ts'
import type { RingDevice } from './ring.ts'
import { locate } from './placement.ts'
import { schemeOf } from './policies.ts'
import { policies } from './policy.ts'
import { type Operation, SwiftRequest } from './request.ts'
import { isRevoked, revocationsOf } from './revoked.ts'
import { judgeS3 } from './s3/door.ts'
import { isLocked } from './s3/object/lock.ts'
import { isFuture } from './timestamp.ts'

/** What a call needs: to write there, to list there, or to do anything at all with what is there. */
export type Right = 'any' | 'write' | 'list'

/** A client's request, judged: what a door may do for it. */
export interface Judged {
  /** Calls on containers, and the right that each needs. */
  readonly calls: Readonly<Record<string, Right>>
  /** 401 or 403 where the request has it not. `object`: its name, or below which prefix; null is the container as such. */
  need(right: Right, account: string, container: string, object: string | null): Promise<void>
  /** Accounts are asked for quotas, ACLs and signing keys: of where the request reads or writes. */
  needAccount(account: string): Promise<void>
  /** What a call is about. */
  subject(call: DoorCall): string | null
  /** Calls that are about the caller. */
  identity(call: DoorCall): Promise<unknown>
  /** What is done instead of what the door wrote, where that is not for it to say. */
  amend(call: DoorCall): Promise<unknown[]>
}

const CONTAINER_CALLS: Readonly<Record<string, Right>> = {
  info: 'any', object: 'any', word: 'any', version: 'any', latest: 'any', list: 'list', listText: 'list', listVersions: 'list', throttle: 'any',
  begin: 'write', putObject: 'write', postObject: 'write', deleteObject: 'write', markDeleted: 'write', unlinkVersion: 'write', restoreVersion: 'write', removeVersion: 'write',
}
const ACCOUNT_CALLS: Readonly<Record<string, Right>> = { info: 'any', throttle: 'any' }

/** What each method of a request does to objects. */
const OPERATIONS: Readonly<Record<string, Operation>> = { GET: 'get', HEAD: 'head', PUT: 'put', COPY: 'put', POST: 'post', DELETE: 'delete' }

const refused = (why: string): Fault => new Fault('forbidden', `A door may not do that: ${why}.`)

const policyOf = new WeakMap<object, Policy>()
function policyFor(env: Env): Policy {
  const known = policyOf.get(env) ?? new Policy(policies, env.POLICY_OVERRIDES ? JSON.parse(env.POLICY_OVERRIDES) : {})
  policyOf.set(env, known)
  return known
}

/** The client's request as the object store sees it, at the time it was answered. */
export async function judge(env: Env, evidence: DoorEvidence, requestId: string, now_ms: number): Promise<Judged> {
  const at_ms = evidence.at_ms ?? now_ms
  if (at_ms > now_ms + HOST_CLOCK_SKEW_MS) throw refused('its time is in the future')
  if (at_ms < now_ms - DOOR_DELAY_MAX_MS) throw refused('it was too long ago')
  if (OPERATIONS[evidence.method] === undefined) throw refused(`${evidence.method} is not a method of objects`)
  const request = requestOf(evidence, 'door')
  if (evidence.dialect === 's3') return await judgeS3(env, evidence, contextOf(env, requestOf(evidence, evidence.headers.host ?? 'door'), requestId, now_ms, null), now_ms)
  const caller = await callerOf(env, request, evidence, requestId, now_ms)
  const judged = new SwiftRequest(contextOf(env, request, requestId, at_ms, caller))
  judged.caller = caller
  await tempUrl(judged)
  return judgedSwift(env, judged)
}

function requestOf({ method, path, headers }: DoorEvidence, host: string): Request {
  const request = new Request(`http://door${path}`, { method, headers })
  // The path as the client wrote it: a URL would normalise names such as '..'.
  Object.defineProperty(request, 'url', { value: `http://${host}${path}` })
  Object.defineProperty(request, 'cf', { value: { clientIp: headers['cf-connecting-ip'] } })
  return request
}

function contextOf(env: Env, request: Request, requestId: string, now_ms: number, caller: Caller | null): Context {
  return new Context({ request, env, url: new Address(request.url), params: {}, requestId, version: [1, 0], policy: policyFor(env), now_ms, waitUntil: () => {} }, caller, undefined)
}

const judgedSwift = (env: Env, request: SwiftRequest): Judged => ({
  calls: CONTAINER_CALLS,
  need: (right, account, container, object) => need(request, right, account, container, object),
  needAccount: (account) => needAccount(request, account),
  subject: (call) => subjectOf(request, call),
  async identity({ method, account }) {
    if (method !== 'accessRules' || request.caller?.app_cred_id !== account) throw refused('only the rules of the request\'s own credential')
    return await env.IDENTITY.getByName(IDENTITY_NAME).accessRules(account)
  },
  amend: async ({ method, account, container, args }) => {
    if (method === 'removeVersion') await unlocked(env, { account, container: container ?? '', object: String(args[0]) }, String(args[1]), request.now_ms)
    return method === 'putObject' ? [withoutS3(args[0] as ObjectRow), ...args.slice(1)] : args
  },
})

/** What S3 keeps with a row (locks, uploads whose parts go with it) is no word of Swift's. */
function withoutS3(row: ObjectRow): ObjectRow {
  const extra = Object.entries(row.extra ?? {}).filter(([name]) => !name.startsWith('s3-'))
  return { ...row, extra: extra.length === 0 ? null : Object.fromEntries(extra) }
}

/** A locked version is removed by nobody's word. */
async function unlocked(env: Env, name: ObjectName, version: string, now_ms: number): Promise<void> {
  const found = await env.CONTAINER.getByName(containerKey(name.account, name.container)).version(name.object, versionId(version))
  if (found !== null && isLocked(found.extra, now_ms, false)) throw refused('the version is locked')
}

async function callerOf(env: Env, request: Request, evidence: DoorEvidence, requestId: string, now_ms: number): Promise<Caller | null> {
  let caller: Caller | null
  try {
    caller = await authenticate(env, request, requestId, evidence.at_ms ?? now_ms)
    const path = evidence.path.slice(PREFIX.length).replace(/\?.*$/s, '')
    // A credential's rules hold here too; those who ask for the rules are told them by the rules' own call.
    if (caller !== null && !(await rulesAllow(env, caller, { method: evidence.method, path, service: { type: 'object-store', prefix: PREFIX } }))) return null
  } catch (error) {
    if (!isFault(error, 'unauthorized')) throw error
    return null
  }
  if (caller === null) return null
  if (evidence.at_ms === undefined) return (await isRevoked(env, caller, now_ms)) ? null : caller
  // A write that was acknowledged before its token was revoked holds.
  const at_ms = evidence.at_ms
  return (await revocationsOf(env, caller, now_ms)).some((event) => event.before_ms <= at_ms) ? null : caller
}

async function allowed(request: SwiftRequest, operations: readonly Operation[], account: string, container: string, object: string | null, level: 'object' | 'container' = 'object'): Promise<boolean> {
  for (const operation of operations) {
    try {
      await request.needIn(level, operation, container, object, account)
      return true
    } catch (error) {
      if (!isFault(error, 'unauthorized') && !isFault(error, 'forbidden')) throw error
    }
  }
  return false
}

/** Where older versions of the request's own container are kept: who may write there may have them kept. */
async function isItsArchive(request: SwiftRequest, account: string, container: string): Promise<boolean> {
  const { names } = request
  if (names.container === null || names.account !== account || names.container === container) return false
  const metadata = (await request.containerInfo(names.container, account))?.metadata
  return metadata?.['x-versions-location'] === container || metadata?.['x-history-location'] === container
}

async function need(request: SwiftRequest, right: Right, account: string, container: string, object: string | null): Promise<void> {
  const operation = OPERATIONS[request.request.method] ?? 'get'
  const writes: Operation[] = request.isRead ? [] : [operation]
  request.segments = true
  if (right !== 'list' && (await allowed(request, right === 'write' ? writes : ['get', 'head', ...writes], account, container, object))) return
  if (right === 'list' && (await allowed(request, ['get'], account, container, null, 'container'))) return
  const own = request.names
  if (own.container !== null && own.object !== null && (await isItsArchive(request, account, container)) && (await allowed(request, writes, account, own.container, own.object))) return
  // The listing of a dynamic large object's segments: below a prefix, for those who may read them.
  if (right === 'list' && object !== null && object !== '' && (await allowed(request, ['get'], account, container, object))) return
  throw request.denied()
}

/** Accounts are asked for quotas, ACLs and signing keys: of where the request reads or writes. */
async function needAccount(request: SwiftRequest, account: string): Promise<void> {
  const places: { account: string; container: string; object: string | null }[] = []
  const { names, headers } = request
  if (names.container !== null) places.push({ account: names.account, container: names.container, object: names.object })
  for (const [path, owner] of [['destination', 'destination-account'], ['x-copy-from', 'x-copy-from-account']] as const) {
    const text = headers.get(path)
    if (text !== null) places.push({ account: decodeURIComponent(headers.get(owner) ?? names.account), ...splitContainerObject(decodeURIComponent(text), () => request.denied()) })
  }
  for (const place of places) if (place.account === account) return await need(request, 'any', account, place.container, place.object)
  throw request.denied()
}

type Stub = Record<string, (...args: unknown[]) => Promise<unknown>>
const own = (table: Readonly<Record<string, Right>>, method: string): Right => {
  const right = Object.hasOwn(table, method) ? table[method] : undefined
  if (right === undefined) throw new Fault('not_implemented', `A door has no call ${method}.`)
  return right
}

/** What a call is about: its first argument is a name, a row or a query. The container itself is asked for because of the request's object. */
function subjectOf({ names }: SwiftRequest, { account, container, method, args: [first] }: DoorCall): string | null {
  if (method === 'info' || method === 'throttle') return names.account === account && names.container === container ? names.object : null
  if (typeof first === 'string') return first
  const { name, prefix } = (first ?? {}) as { name?: unknown; prefix?: unknown }
  if (method === 'list' || method === 'listText' || method === 'listVersions') return typeof prefix === 'string' ? prefix : null
  return typeof name === 'string' ? name : null
}

/** A time of the future would make an object that no later write could replace. */
function checkTimes(value: unknown, now_ms: number): void {
  const times = typeof value === 'object' && value !== null ? Object.values(value) : [value]
  for (const time of times) if (typeof time === 'string' && /^\d{10}\.\d{5}$/.test(time) && isFuture(time, now_ms)) throw refused('its timestamp is in the future')
}

export async function doorCall(env: Env, request: Judged, call: DoorCall, now_ms: number): Promise<unknown> {
  const { account, container, method, args } = call
  if (call.on === 'account') {
    own(ACCOUNT_CALLS, method)
    await request.needAccount(account)
    return await (env.ACCOUNT.getByName(account) as unknown as Stub)[method]?.(...args)
  }
  if (call.on === 'identity') return await request.identity(call)
  if (container === null) throw refused('a container is needed')
  if (method === 'keys') {
    const [object] = args
    await request.need('any', account, container, typeof object === 'string' ? object : null)
    return containerKeys(env, account, container)
  }
  const right = own(request.calls, method)
  if (right === 'write') for (const value of args.slice(0, 2)) checkTimes(value, now_ms)
  await request.need(right, account, container, request.subject(call))
  return await (env.CONTAINER.getByName(containerKey(account, container)) as unknown as Stub)[method]?.(...(await request.amend(call)))
}

/** A replica on a host that has no door: of an object that the request has the right to, where the ring says it is. */
export async function doorReplica(env: Env, request: Judged, op: ObjectOp, hostId: string, given: ObjectArgs, body: ReadableStream<Uint8Array> | null, now_ms: number): Promise<Response> {
  const match = /^\/([^/]+)\/([^/]+)\/(.+)$/s.exec(given.name)
  if (match === null) throw refused('the object has no name')
  const [, account = '', container = '', object = ''] = match
  // A version's bytes lie under a name of their own; the right is the object's.
  const version = /^\0versions\0(.+)$/s.exec(container)?.[1]
  const known = version === undefined ? { container, object } : { container: version, object: object.split('\0')[1] ?? '' }
  const isRead = op === 'object.get' || op === 'object.head' || op === 'object.fragments' || op === 'object.doubt'
  if (!isRead) checkTimes(given.timestamp, now_ms)
  // A version's bytes are written once, at its own time: what is there under another's name is not this request's.
  if (op === 'object.put' && version !== undefined && object.split('\0')[2] !== given.timestamp) throw refused('a version is named by its time')
  await request.need(isRead ? 'any' : 'write', account, known.container, known.object)
  if (op === 'object.delete' && version !== undefined) await unlocked(env, { account, ...known }, object.split('\0')[2] ?? '', now_ms)
  const at = await locate(env, { account, container, object }, given.policy, now_ms)
  // Its keys are known here: a door's word is not taken for them.
  const sealing = op === 'object.delete' || op === 'object.commit' ? undefined : isRead ? at.sealing : sealingFor(at.sealing, given.sealing?.seal)
  const args: ObjectArgs = { ...given, sealing }
  const isThere = (device: RingDevice) => device.host_id === hostId && device.device === args.device
  if (at.hash !== args.hash || at.partition !== args.partition || !(at.primaries.some(isThere) || at.formers.some(isThere) || at.handoffs().some(isThere))) throw refused('the ring has the object elsewhere')
  // A fragment without its number would lie there as a whole object, and the other way about.
  if ((op === 'object.put' || op === 'object.get') && (args.fragment !== undefined) !== (schemeOf(env, args.policy) !== null)) throw refused('fragments are of erasure-coded policies, and only those')
  // Whether a block opens the host sees for itself; that a fragment is wrong it would have to take a door's word for.
  if (op === 'object.doubt' && args.fragment !== undefined) throw refused('only the plane says that a fragment is wrong')
  const host = env.HOST.getByName(hostId)
  const json = (value: unknown) => new Response(JSON.stringify(value), { headers: { 'content-type': 'application/json' } })
  switch (op) {
    case 'object.put':
      return json(await host.objectPut(args, body ?? new ReadableStream({ type: 'bytes', start: (controller) => controller.close() })))
    case 'object.head':
      return json(await host.objectHead(args))
    case 'object.post':
      return json(await host.objectPost(args))
    case 'object.delete':
      return json(await host.objectDelete(args))
    case 'object.fragments':
      return json(await host.objectFragments(args))
    case 'object.commit':
      return json(await host.objectCommit(args))
    case 'object.doubt':
      return json(await host.objectDoubt(args))
    case 'object.get': {
      const { head, body: bytes } = await host.objectGet(args)
      return new Response(bytes as BodyInit, { headers: { 'content-type': 'application/octet-stream', 'x-skyhook-head': encodeURIComponent(JSON.stringify(head)) } })
    }
    default:
      return op satisfies never
  }
}
