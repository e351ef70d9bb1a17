/** What a door asks of the plane (schema/agent/door.ts): its state, calls on containers and accounts, replicas on hosts without a door. Only hosts that an administrator made doors. */
import { createHash } from 'node:crypto'
import { type Env, IDENTITY_NAME, REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import type { DoorCalls, DoorFault, DoorHost, DoorResult, DoorRing, DoorState } from '../../../schema/agent/door.ts'
import type { ObjectArgs } from '../../../schema/agent/protocol.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { JSON_BYTES_MAX, type Route, route, validate } from '../../http/route.ts'
import { type Judged, doorCall, doorReplica, judge } from '../../object/door.ts'
import { rootIds } from '../../object/encryption/keymaster.ts'
import { policiesOf } from '../../object/policies.ts'
import type { RingView } from '../../object/ring-store.ts'
import { passedS3 } from '../../object/s3/passed.ts'
import { signedBy } from '../signature.ts'
import { doorCalls, evidence as evidenceSchema, replicaArgs, replicaOp, ringVersions } from './requests.ts'

/** How long the hosts' keys are used before they are asked for again: a door that is taken away is one for this long. */
export const DOORS_KNOWN_MS = 2_000
/** Settings that say how the handlers behave, and no secrets. */
const VARS = ['REGION_NAME', 'POLICY_OVERRIDES', 'OPTIONS'] as const

const known = new WeakMap<object, { hosts: Map<string, DoorHost>; read_ms: number }>()

async function doors(env: Env, now_ms: number): Promise<Map<string, DoorHost>> {
  const found = known.get(env)
  if (found !== undefined && now_ms - found.read_ms < DOORS_KNOWN_MS) return found.hosts
  const hosts = new Map((await env.REGION.getByName(REGION_OBJECT_NAME).doors()).map((host) => [host.id, host]))
  known.set(env, { hosts, read_ms: now_ms })
  return hosts
}

/** The id of the door that signed this. */
async function signingDoor({ env, request, now_ms }: Context): Promise<string> {
  const hosts = await doors(env, now_ms)
  const id = await signedBy(request, now_ms, async (hostId) => hosts.get(hostId)?.public_key ?? null)
  if (hosts.get(id)?.door_url == null) throw new Fault('forbidden', 'This host is not a door. An administrator makes it one: skyhook host door HOST URL.')
  return id
}

const ringOf = (ring: RingView): DoorRing => ({ ...ring, assignment: ring.assignment.map((row) => Buffer.from(new Uint16Array(row).buffer).toString('base64')), moving: ring.moving.map(({ device, partitions }) => ({ device, partitions: [...partitions] })) })

/** Of every storage policy, where the door has another version. */
async function ringsOf(env: Env, known: Record<string, number>): Promise<Record<string, DoorRing>> {
  const rings: Record<string, DoorRing> = {}
  for (const { index } of policiesOf(env)) {
    const ring = await env.RING.getByName(String(index)).current(known[index] ?? -1)
    if (ring !== null) rings[index] = ringOf(ring)
  }
  return rings
}

async function state(ctx: Context): Promise<DoorState> {
  await signingDoor(ctx)
  const { env, query, now_ms } = ctx
  const identity = env.IDENTITY.getByName(IDENTITY_NAME)
  const versions = validate(ringVersions, JSON.parse(query.get('rings') ?? '{}'))
  const [rings, keys, revocations, hosts] = await Promise.all([ringsOf(env, versions), identity.publicKeys(), identity.revocations(Number(query.get('revocations') ?? 0)), doors(env, now_ms)])
  return { now_ms, rings, keys, revocations, hosts: [...hosts.values()], roots: rootIds(env), vars: Object.fromEntries(VARS.flatMap((name) => (env[name] === undefined || env[name] === '' ? [] : [[name, env[name]]]))) }
}

export function doorFault(error: unknown): DoorFault {
  if (!isFault(error)) return { kind: 'unavailable', message: 'The plane could not do this now.' }
  const { kind, message, type, status, headers, details } = error
  return { kind, message, ...(type === undefined ? {} : { type }), ...(status === undefined ? {} : { status }), ...(headers === undefined ? {} : { headers }), ...(details === undefined ? {} : { details }) }
}

async function settle(work: () => Promise<unknown>): Promise<DoorResult> {
  try {
    return { ok: true, value: (await work()) ?? null }
  } catch (error) {
    return { ok: false, error: doorFault(error) }
  }
}

async function calls(ctx: Context): Promise<{ results: DoorResult[] }> {
  await signingDoor(ctx)
  const { env, request, query, now_ms, requestId } = ctx
  if (Number(request.headers.get('content-length') ?? 0) > JSON_BYTES_MAX) throw new Fault('too_large', `At most ${JSON_BYTES_MAX} bytes.`)
  const text = await request.text()
  if (createHash('sha256').update(text).digest('base64url') !== query.get('digest')) throw new Fault('unauthorized', 'The body is not the one that was signed.')
  const body = validate(doorCalls, JSON.parse(text)) as DoorCalls & { ordered?: boolean }
  const judged = new Map<number, Promise<Judged>>()
  const requestOf = (at: number): Promise<Judged> => {
    const evidence = body.evidence[at]
    if (evidence === undefined) throw new Fault('bad_request', 'A call names evidence that did not come along.')
    const found = judged.get(at) ?? judge(env, evidence, requestId, now_ms)
    judged.set(at, found)
    return found
  }
  const run = (call: DoorCalls['calls'][number]) => settle(async () => doorCall(env, await requestOf(call.evidence), call, now_ms))
  if (body.ordered !== true) return { results: await Promise.all(body.calls.map(run)) }
  const results: DoorResult[] = []
  for (const call of body.calls) results.push(await run(call))
  return { results }
}

async function replica(ctx: Context): Promise<Response> {
  await signingDoor(ctx)
  const { env, request, query, now_ms, requestId } = ctx
  const parsed = (name: string): unknown => JSON.parse(query.get(name) ?? 'null')
  const evidence = validate(evidenceSchema, parsed('evidence'))
  const args = validate(replicaArgs, parsed('args')) as ObjectArgs
  const judged = await judge(env, { ...evidence, headers: evidence.headers as Record<string, string> } as never, requestId, now_ms)
  try {
    return await doorReplica(env, judged, validate(replicaOp, query.get('op')), query.get('host') ?? '', args, request.body as ReadableStream<Uint8Array> | null, now_ms)
  } catch (error) {
    const fault = doorFault(error)
    return new Response(JSON.stringify({ error: fault }), { status: 409, headers: { 'content-type': 'application/json', 'x-skyhook-fault': fault.kind } })
  }
}

/** A client's S3 request as it came to the door. */
async function passed(ctx: Context): Promise<Response> {
  await signingDoor(ctx)
  return await passedS3(ctx)
}

export const routes: Route[] = [
  route({ method: 'GET', path: '/v1/door/state', policy: 'public', handle: state }),
  route({ method: 'POST', path: '/v1/door/calls', policy: 'public', body: 'stream', handle: calls }),
  route({ method: 'POST', path: '/v1/door/replicas', policy: 'public', body: 'stream', handle: replica }),
  ...(['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS'] as const).map((method) => route({ method, path: '/v1/door/s3', policy: 'public', body: 'stream', handle: passed })),
]
