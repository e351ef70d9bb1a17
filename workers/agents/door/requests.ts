/** Bodies and queries of what doors ask. */
import { array, integer, literal, maxLength, maxValue, minValue, nullable, number, object, optional, picklist, pipe, record, regex, string, union, unknown } from 'valibot'
import { DOOR_CALLS_MAX } from '../../../schema/agent/door.ts'
import { FRAGMENTS_MAX } from '../../../schema/values/erasure.ts'

const name = pipe(string(), maxLength(2_048))
const count = pipe(number(), integer(), minValue(0))

export const evidence = object({ method: pipe(string(), regex(/^[A-Z]{3,7}$/)), path: pipe(string(), maxLength(16_384), regex(/^\/object-store\/v1/)), headers: record(string(), string()), at_ms: optional(pipe(number(), minValue(0))) })

export const doorCalls = object({
  ordered: optional(union([literal(true), literal(false)])),
  evidence: pipe(array(evidence), maxLength(DOOR_CALLS_MAX)),
  calls: pipe(
    array(object({ evidence: pipe(count, maxValue(DOOR_CALLS_MAX)), on: picklist(['container', 'account', 'identity']), account: name, container: nullable(name), method: pipe(string(), regex(/^[a-zA-Z]{1,32}$/)), args: pipe(array(unknown()), maxLength(8)) })),
    maxLength(DOOR_CALLS_MAX),
  ),
})

export const replicaArgs = object({
  device: pipe(string(), regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)), policy: count, partition: count, hash: pipe(string(), regex(/^[0-9a-f]{32}$/)), name: pipe(string(), maxLength(4_096)),
  timestamp: pipe(string(), regex(/^\d{10}\.\d{5}$/)), metadata: optional(record(string(), string())), size_bytes: optional(nullable(count)), etag: optional(nullable(string())),
  want: optional(object({ sha512: optional(union([literal(true), literal(false)])), inspect: optional(union([literal(true), literal(false)])) })), range: optional(nullable(array(count))),
  fragment: optional(object({ index: pipe(count, maxValue(FRAGMENTS_MAX)), scheme: optional(object({ data: count, parity: count, segment_bytes: count })), at: optional(pipe(string(), regex(/^\d{10}\.\d{5}$/))) })),
  sealing: optional(object({ seal: union([literal(true), literal(false)]) })),
})

export const ringVersions = record(pipe(string(), regex(/^\d{1,5}$/)), number())

export const replicaOp = picklist(['object.put', 'object.get', 'object.head', 'object.post', 'object.delete', 'object.fragments', 'object.commit'])
