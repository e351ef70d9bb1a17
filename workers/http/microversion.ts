/** Microversions: OpenStack-API-Version (and Nova's older header) in and out, 406 outside the range. api-ref: microversion specification. */
import { Fault } from '../../schema/values/fault.ts'
import type { Service } from './service.ts'

/** [major, minor] */
export type Version = readonly [number, number]

export const formatVersion = (version: Version): string => `${version[0]}.${version[1]}`
export const compareVersions = (a: Version, b: Version): number => a[0] - b[0] || a[1] - b[1]

const parse = (text: string): Version | null => {
  const match = /^(\d+)\.(\d+)$/.exec(text.trim())
  return match === null ? null : [Number(match[1]), Number(match[2])]
}

export function requestedVersion(service: Service, headers: Headers): Version {
  const range = service.microversions
  if (range === undefined) return [1, 0]
  let text: string | null = null
  for (const part of (headers.get('openstack-api-version') ?? '').split(',')) {
    const [name, value] = part.trim().split(/\s+/)
    if (name?.toLowerCase() === range.header && value !== undefined) text = value
  }
  if (text === null && range.legacyHeader !== undefined) text = headers.get(range.legacyHeader)
  if (text === null || text === '') return range.min
  if (text === 'latest') return range.max
  const version = parse(text)
  if (version === null) throw new Fault('bad_request', `API Version String ${text} is of invalid format. Must be of format MajorNum.MinorNum.`)
  if (compareVersions(version, range.min) < 0 || compareVersions(version, range.max) > 0) {
    throw new Fault('not_acceptable', `Version ${text} is not supported by the API. Minimum is ${formatVersion(range.min)} and maximum is ${formatVersion(range.max)}.`, {
      details: { min_version: formatVersion(range.min), max_version: formatVersion(range.max) },
    })
  }
  return version
}

export function versionHeaders(service: Service, version: Version): Record<string, string> {
  const range = service.microversions
  if (range === undefined) return {}
  const headers: Record<string, string> = { 'openstack-api-version': `${range.header} ${formatVersion(version)}`, vary: 'OpenStack-API-Version' }
  if (range.legacyHeader !== undefined) {
    headers[range.legacyHeader.toLowerCase()] = formatVersion(version)
    headers.vary = `OpenStack-API-Version, ${range.legacyHeader}`
  }
  return headers
}
