/** What every object driver refuses in the same words, and how the metadata of a POST lies over that of its PUT. Pure. */
import type { ObjectArgs } from '../../../schema/agent/protocol.ts'
import { Fault } from '../../../schema/values/fault.ts'

/** Far above what the API lets through; a limit all the same, since one record is held in memory. */
export const METADATA_BYTES_MAX = 1024 * 1024

const TIMESTAMP = /^\d{10}\.\d{5}(_[0-9a-f]{16})?$/

/** Timestamps of this form order as text. */
export const isTimestamp = (text: string): boolean => TIMESTAMP.test(text)

const bad = (field: string) => new Fault('bad_request', `the object's ${field} is not usable`)

/** What becomes part of a path. */
export function checkDevice(at: { device: string; policy?: number; partition?: number }): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(at.device)) throw bad('device')
  if (at.policy !== undefined && (!Number.isInteger(at.policy) || at.policy < 0)) throw bad('policy')
  if (at.partition !== undefined && (!Number.isInteger(at.partition) || at.partition < 0)) throw bad('partition')
}

const isSealingKey = (one: { root?: unknown; key?: unknown }): boolean => /^[0-9a-f]{16}$/.test(String(one.root)) && /^[A-Za-z0-9_-]{43}$/.test(String(one.key))

export function checkArgs(args: ObjectArgs): ObjectArgs {
  checkDevice({ device: args.device, policy: args.policy ?? -1, partition: args.partition ?? -1 })
  if (!/^[0-9a-f]{32}$/.test(args.hash)) throw bad('hash')
  if (!isTimestamp(args.timestamp)) throw bad('timestamp')
  if (args.metadata !== undefined && JSON.stringify(args.metadata).length > METADATA_BYTES_MAX) throw bad('metadata')
  if (args.sealing !== undefined && (!Array.isArray(args.sealing.keys) || !args.sealing.keys.every(isSealingKey))) throw bad('keys')
  return args
}

/** Before anything is written that must not lie there plainly. */
export function checkSealing({ sealing }: ObjectArgs): void {
  if (sealing?.seal === true && sealing.keys.length === 0) throw bad('keys')
}

export const checkRange = (range: [number, number] | null | undefined, size: number): [number, number] | null => {
  if (range === null || range === undefined) return size === 0 ? null : [0, size - 1]
  const [first, last] = range
  if (!Number.isInteger(first) || !Number.isInteger(last) || first < 0 || first > last || last >= size) {
    throw new Fault('range_not_satisfiable', `bytes ${first}-${last} are not within ${size}`)
  }
  return [first, last]
}

/**
 * A POST replaces what the user may set; what describes the data stays with the data (swift/obj/diskfile.py keeps the same). The
 * content type is the data's until a POST names another.
 */
export function mergeMetadata(data: Record<string, string>, post: Record<string, string> | null): Record<string, string> {
  if (post === null) return data
  const given = new Set(Object.keys(post).map((name) => name.toLowerCase()))
  const merged = { ...post }
  for (const [name, value] of Object.entries(data)) {
    const lower = name.toLowerCase()
    const ofData = lower === 'x-static-large-object' || lower.startsWith('x-object-sysmeta-')
    if (ofData && given.has(lower)) for (const key of Object.keys(merged)) if (key.toLowerCase() === lower) delete merged[key]
    if (ofData || (lower === 'content-type' && !given.has(lower))) merged[name] = value
  }
  return merged
}

export const noSuchObject = (timestamp: string | null): Fault => new Fault('not_found', 'no such object', { details: { timestamp } })
export const tooOld = (timestamp: string): Fault => new Fault('conflict', `there is a version of ${timestamp}`, { details: { timestamp } })
