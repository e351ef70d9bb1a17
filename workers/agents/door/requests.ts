/** Bodies and queries of what doors ask. */
import { array, boolean, integer, literal, maxLength, maxValue, minValue, nullable, number, object, optional, picklist, pipe, record, regex, string, union, unknown } from 'valibot'
import { DOOR_CALLS_MAX } from '../../../schema/agent/door.ts'
import { DIGESTS } from '../../../schema/values/digests.ts'
import { FRAGMENTS_MAX } from '../../../schema/values/erasure.ts'

const name = pipe(string(), maxLength(2_048))
const count = pipe(number(), integer(), minValue(0))

const time = optional(pipe(number(), minValue(0)))
const head = { method: pipe(string(), regex(/^[A-Z]{3,7}$/)), headers: record(string(), string()), at_ms: time }
const path = pipe(string(), maxLength(16_384), regex(/^\//))
export const evidence = union([object({ ...head, path, dialect: literal('s3'), begun_ms: pipe(number(), minValue(0)) }), object({ ...head, path: pipe(path, regex(/^\/object-store\/v1/)) })])

export const doorCalls = object({
  ordered: optional(boolean()),
  evidence: pipe(array(evidence), maxLength(DOOR_CALLS_MAX)),
  calls: pipe(
    array(object({ evidence: pipe(count, maxValue(DOOR_CALLS_MAX)), on: picklist(['container', 'account', 'identity']), account: name, container: nullable(name), method: pipe(string(), regex(/^[a-z][a-zA-Z0-9]{0,31}$/)), args: pipe(array(unknown()), maxLength(8)) })),
    maxLength(DOOR_CALLS_MAX),
  ),
})

const partialDigests = record(picklist(DIGESTS), nullable(pipe(string(), maxLength(128))))

export const replicaArgs = object({
  device: pipe(string(), regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)), policy: count, partition: count, hash: pipe(string(), regex(/^[0-9a-f]{32}$/)), name: pipe(string(), maxLength(4_096)),
  timestamp: pipe(string(), regex(/^\d{10}\.\d{5}$/)), metadata: optional(record(string(), string())), size_bytes: optional(nullable(count)), etag: optional(nullable(string())), sum: optional(pipe(string(), regex(/^[0-9a-f]{32}$/))),
  want: optional(object({ sha512: optional(boolean()), inspect: optional(boolean()), digests: optional(partialDigests) })), range: optional(nullable(array(count))),
  fragment: optional(object({ index: pipe(count, maxValue(FRAGMENTS_MAX)), scheme: optional(object({ data: count, parity: count, segment_bytes: count, tag_bytes: optional(count) })), at: optional(pipe(string(), regex(/^\d{10}\.\d{5}$/))) })),
  sealing: optional(object({ seal: boolean() })),
})

export const ringVersions = record(pipe(string(), regex(/^\d{1,5}$/)), number())

export const replicaOp = picklist(['object.put', 'object.get', 'object.head', 'object.post', 'object.delete', 'object.fragments', 'object.commit', 'object.doubt'])
