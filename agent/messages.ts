/** Checks of what the plane sends, before anything acts on it: shapes, and ids that may become parts of paths and arguments. */
import * as v from 'valibot'
import { KIND_ORDER, type Kind } from '../schema/agent/desired.ts'
import { MESSAGE_BYTES_MAX, type ObjectArgs, type PlaneMessage, type ObjectOp } from '../schema/agent/protocol.ts'
import { Fault } from '../schema/values/fault.ts'

const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const stream = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff))

const item = v.looseObject({
  kind: v.picklist(KIND_ORDER as readonly [Kind, ...Kind[]]),
  id,
  project_id: v.string(),
  generation: count,
  state: v.picklist(['present', 'absent']),
  spec: v.looseObject({}),
})

const message = v.variant('type', [
  v.looseObject({ type: v.literal('welcome'), protocol_version: count, host_id: v.string(), now_ms: v.number() }),
  v.looseObject({ type: v.literal('desired'), from: count, to: count, items: v.array(item) }),
  v.looseObject({ type: v.literal('observed_ack'), seq: count }),
  v.looseObject({ type: v.literal('command'), id: v.pipe(v.string(), v.minLength(1), v.maxLength(128)), name: v.string(), args: v.looseObject({}), deadline_ms: v.number() }),
  v.looseObject({ type: v.literal('echo'), nonce: v.string() }),
  v.looseObject({ type: v.literal('open'), stream, op: v.picklist(['object.put', 'object.get', 'object.find', 'object.head', 'object.post', 'object.delete', 'object.fragments', 'object.commit', 'object.doubt', 'object.query', 'object.read', 'object.receive', 'object.defer', 'console']), args: v.looseObject({}) }),
  v.looseObject({ type: v.literal('credit'), stream, frames: count }),
  v.looseObject({ type: v.literal('reset'), stream, error: v.string() }),
])

/** Of one host that one object is looked for on. */
const FIND_DEVICES_MAX = 64

const replicaArgs = v.looseObject({
  device: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)),
  policy: count,
})

const objectArgs = v.looseObject({
  ...replicaArgs.entries,
  partition: count,
  hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  name: v.pipe(v.string(), v.maxLength(4096)),
  timestamp: v.pipe(v.string(), v.regex(/^\d{10,12}\.\d{5}(_[0-9a-f]{1,16})?$/)),
})

const findArgs = v.looseObject({ at: objectArgs, also: v.pipe(v.array(replicaArgs.entries.device), v.maxLength(FIND_DEVICES_MAX)), body: v.boolean() })
const consoleArgs = v.looseObject({ server_id: id, kind: v.picklist(['vnc', 'serial']), incarnation: count })

/** The driver looks at the rest of what these take. */
const BETWEEN_REPLICAS: ReadonlySet<string> = new Set(['object.query', 'object.read', 'object.receive', 'object.defer'])
const userObjectOp = v.picklist(['object.put', 'object.get', 'object.head', 'object.post', 'object.delete', 'object.fragments', 'object.commit', 'object.doubt'])

/** An operation on a replica here that another host asks for: it names a device and a place on it, never a path. */
export function replicaCall(op: unknown, args: unknown): { op: ObjectOp; args: ObjectArgs } {
  if (!v.is(userObjectOp, op) || !v.is(objectArgs, args)) throw new Fault('bad_request', 'a replica is asked for with bad arguments')
  return { op, args: args as unknown as ObjectArgs }
}

const argsOf = (op: string) => (op === 'console' ? consoleArgs : op === 'object.find' ? findArgs : BETWEEN_REPLICAS.has(op) ? replicaArgs : objectArgs)

/** Null for a type this build does not know: a newer plane may say more than we understand. */
export function parseMessage(text: string): PlaneMessage | null {
  if (text.length > MESSAGE_BYTES_MAX) throw new Fault('too_large', `message of ${text.length} characters`)
  const value: unknown = JSON.parse(text)
  const type = (value as { type?: unknown } | null)?.type
  if (typeof type !== 'string') throw new Fault('bad_request', 'message without a type')
  const parsed = v.safeParse(message, value)
  if (parsed.success) {
    if (parsed.output.type === 'open' && !v.is(argsOf(parsed.output.op), parsed.output.args)) throw new Fault('bad_request', 'open with bad arguments')
    return value as PlaneMessage
  }
  const known = ['welcome', 'desired', 'observed_ack', 'command', 'echo', 'open', 'credit', 'reset'].includes(type)
  if (!known) return null
  const issue = parsed.issues[0]
  throw new Fault('bad_request', `${type}: ${issue.message} at ${v.getDotPath(issue) ?? 'the top'}`)
}
