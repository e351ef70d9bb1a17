/** Bodies that hosts with object disks send: shapes of what becomes part of paths and rows; the rest is checked where it is used. */
import { array, boolean, integer, literal, looseObject, maxLength, minValue, nullable, number, object, optional, picklist, pipe, record, regex, string, transform, tuple, union } from 'valibot'

const count = pipe(number(), integer(), minValue(0))
const device = pipe(string(), regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/))
const hash = pipe(string(), regex(/^[0-9a-f]{32}$/))
const timestamp = pipe(string(), regex(/^\d{10}\.\d{5}(_[0-9a-f]{16})?$/))
const at = { device, policy: count, partition: count }
const version = object({ ...at, hash, kind: picklist(['data', 'meta', 'ts']), timestamp, fragment: optional(count) })

const BATCH_MAX = 1_000
/** Each is opened and sealed at once. */
const RESEALED_MAX = 100

export const syncRequest = object({
  revisions: record(string(), string()),
  recon: looseObject({ ring_version: count, devices: array(looseObject({ device })) }),
  drained: pipe(array(tuple([count, count, count])), maxLength(100_000)),
})

export const queryRequest = object({
  query: union([
    object({ what: picklist(['digests', 'numbers']), device, policy: count, partitions: pipe(array(count), maxLength(BATCH_MAX)) }),
    object({ what: literal('suffixes'), ...at }),
    object({ what: literal('device'), device, policy: count }),
    object({ what: literal('versions'), ...at, suffixes: pipe(array(pipe(string(), regex(/^[0-9a-f]{3}$/))), maxLength(4_096)) }),
    object({ what: literal('commit'), ...at, hash, timestamp }),
  ]),
})

export const relayRequest = object({ from: version, to: version })

const digits = pipe(string(), regex(/^\d{1,9}$/), transform(Number))
/** Of a URL. */
export const fragmentQuery = object({ device, policy: digits, partition: digits, hash, timestamp, fragment: digits })

const name = pipe(string(), maxLength(4_096))
export const updatesRequest = object({
  updates: pipe(array(object({ account: name, container: name, object: name, op: picklist(['put', 'post', 'delete']), timestamp, row: optional(looseObject({})), mark: optional(pipe(string(), maxLength(128))) })), maxLength(BATCH_MAX)),
})

export const listingsRequest = object({
  entries: pipe(array(object({ name, policy: count, kind: picklist(['data', 'ts']), timestamp, posted: nullable(timestamp), size_bytes: count, etag: string(), metadata: record(string(), string()), sealed: optional(object({ root: string(), text: string() })) })), maxLength(BATCH_MAX)),
})

const sealedText = object({ root: pipe(string(), regex(/^[0-9a-f]{16}$/)), text: string() })
export const resealRequest = object({
  entries: pipe(array(object({ kind: picklist(['data', 'meta']), name, timestamp, size_bytes: optional(count), sealed: sealedText, segments: optional(object({ mark: pipe(string(), regex(/^[0-9a-f]{32}$/)), key: sealedText })) })), maxLength(RESEALED_MAX)),
})

/** Of an administrator. */
export const runRequest = object({ services: optional(array(picklist(['auditor', 'replicator', 'reconstructor', 'updater', 'resealer']))), host: optional(string()), device: optional(device) })
const weight = pipe(number(), minValue(0))
export const deviceUpdate = object({ weight: optional(nullable(weight)), drained: optional(boolean()), removed: optional(boolean()), region: optional(pipe(number(), integer(), minValue(1))), force: optional(boolean()) })
const component = object({ name: pipe(string(), regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)), regions: array(pipe(number(), integer(), minValue(1))), replicas: pipe(number(), integer(), minValue(1)) })
export const ringUpdate = object({ replicas: optional(pipe(number(), minValue(1))), min_part_hours: optional(pipe(number(), minValue(0))), overload: optional(pipe(number(), minValue(0))), components: optional(nullable(array(component))) })
