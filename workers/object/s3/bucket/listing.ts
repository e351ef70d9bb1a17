/** Listings of a bucket: objects by both versions of the call, and all versions of them. */
import type { ObjectRow, VersionRow } from '../../container/rows.ts'
import { versionId } from '../../container/rows.ts'
import { isSubdir } from '../../list.ts'
import { awsEncode } from '../../../http/sigv4.ts'
import { s3Fault } from '../errors.ts'
import { element, leaf, optional, xmlResponse } from '../markup.ts'
import type { S3Request } from '../request.ts'
import { etagOfRow } from '../store.ts'
import { s3Time } from '../time.ts'

export const KEYS_LISTED_MAX = 1_000
export const NAMES_LISTED_MAX = 10_000

interface Asked {
  prefix: string
  delimiter: string
  limit: number
  /** Encodes names where the client asked for it. */
  name(text: string): string
  encoding: string | null
}

export function countOf(request: S3Request, parameter: string, most: number): number {
  const given = request.query.get(parameter)
  if (given === null || given === '') return most
  if (!/^\d{1,10}$/.test(given) || Number(given) > 2_147_483_647) throw s3Fault('InvalidArgument', `Provided ${parameter} not an integer or within integer range`, { ArgumentName: parameter, ArgumentValue: given })
  return Math.min(Number(given), most)
}

export function asked(request: S3Request, count = 'max-keys'): Asked {
  const { query } = request
  const encoding = query.get('encoding-type')
  if (encoding !== null && encoding !== 'url') throw s3Fault('InvalidArgument', 'Invalid Encoding Method specified in Request', { ArgumentName: 'encoding-type', ArgumentValue: encoding })
  const name = encoding === null ? (text: string) => text : (text: string) => awsEncode(text).replace(/%2F/g, '/')
  return { prefix: query.get('prefix') ?? '', delimiter: query.get('delimiter') ?? '', limit: countOf(request, count, KEYS_LISTED_MAX), name, encoding }
}

export const ownerXml = (request: S3Request, tag = 'Owner'): string => element(tag, leaf('ID', request.owner), leaf('DisplayName', request.ownerName))

function checksumXml(row: ObjectRow): string {
  const [algorithm, , type] = (row.extra?.['s3-checksum'] ?? '').split(' ')
  return algorithm === undefined || algorithm === '' ? '' : `${leaf('ChecksumAlgorithm', algorithm.toUpperCase())}${leaf('ChecksumType', type ?? 'FULL_OBJECT')}`
}

const contentXml = (request: S3Request, row: ObjectRow, name: Asked['name'], owner: boolean): string =>
  element('Contents', leaf('Key', name(row.name)), leaf('LastModified', s3Time(row.modified_at)), leaf('ETag', `"${etagOfRow(row)}"`), checksumXml(row), leaf('Size', row.slo_size ?? row.size), owner ? ownerXml(request) : '', leaf('StorageClass', 'STANDARD'))

const prefixesXml = (prefixes: string[], name: Asked['name']): string => prefixes.map((prefix) => element('CommonPrefixes', leaf('Prefix', name(prefix)))).join('')

/** A page and whether more follow; `last` is what the next one begins after. */
async function page(request: S3Request, { prefix, delimiter, limit }: Asked, marker: string): Promise<{ rows: ObjectRow[]; prefixes: string[]; more: boolean; last: string }> {
  await request.authorize({ action: 's3:ListBucket', level: 'container', operation: 'get' }, null)
  if (limit === 0) return { rows: [], prefixes: [], more: false, last: '' }
  const { entries } = await request.container().list({ limit: limit + 1, marker, end_marker: '', prefix, delimiter, reverse: false, path: null })
  const shown = entries.slice(0, limit)
  const end = shown.at(-1)
  return {
    rows: shown.filter((entry): entry is ObjectRow => !isSubdir(entry)), prefixes: shown.flatMap((entry) => (isSubdir(entry) ? [entry.subdir] : [])), more: entries.length > limit,
    last: end === undefined ? '' : isSubdir(end) ? end.subdir : end.name,
  }
}

export async function listObjects(request: S3Request): Promise<Response> {
  const ask = asked(request)
  const marker = request.query.get('marker') ?? ''
  const { rows, prefixes, more, last } = await page(request, ask, marker)
  const { name, delimiter } = ask
  return xmlResponse(element('ListBucketResult', leaf('Name', request.bucketName), leaf('Prefix', name(ask.prefix)), leaf('Marker', name(marker)), optional('NextMarker', more && delimiter !== '' ? name(last) : null), leaf('MaxKeys', ask.limit),
    optional('Delimiter', delimiter === '' ? null : name(delimiter)), optional('EncodingType', ask.encoding), leaf('IsTruncated', more), ...rows.map((row) => contentXml(request, row, name, true)), prefixesXml(prefixes, name)))
}

const tokenOf = (last: string): string => Buffer.from(last, 'utf8').toString('base64url')

export async function listObjectsV2(request: S3Request): Promise<Response> {
  if (request.query.get('list-type') !== '2') throw s3Fault('InvalidArgument', undefined, { ArgumentName: 'list-type', ArgumentValue: request.query.get('list-type') ?? '' })
  const ask = asked(request)
  const token = request.query.get('continuation-token')
  const after = request.query.get('start-after') ?? ''
  if (token !== null && !/^[A-Za-z0-9_-]+$/.test(token)) throw s3Fault('InvalidArgument', 'The continuation token provided is incorrect', { ArgumentName: 'continuation-token', ArgumentValue: token })
  const { rows, prefixes, more, last } = await page(request, ask, token === null ? after : Buffer.from(token, 'base64url').toString('utf8'))
  const { name, delimiter } = ask
  return xmlResponse(element('ListBucketResult', leaf('Name', request.bucketName), leaf('Prefix', name(ask.prefix)), optional('StartAfter', after === '' ? null : name(after)), optional('ContinuationToken', token), optional('NextContinuationToken', more ? tokenOf(last) : null),
    leaf('KeyCount', rows.length + prefixes.length), leaf('MaxKeys', ask.limit), optional('Delimiter', delimiter === '' ? null : name(delimiter)), optional('EncodingType', ask.encoding), leaf('IsTruncated', more),
    ...rows.map((row) => contentXml(request, row, name, request.query.get('fetch-owner') === 'true')), prefixesXml(prefixes, name)))
}

export async function listVersions(request: S3Request): Promise<Response> {
  await request.authorize({ action: 's3:ListBucketVersions', level: 'container', operation: 'get' }, null)
  const { prefix, delimiter, limit, name, encoding } = asked(request)
  const [keyMarker, idMarker] = [request.query.get('key-marker') ?? '', request.query.get('version-id-marker') ?? '']
  if (idMarker !== '' && keyMarker === '') throw s3Fault('InvalidArgument', 'A version-id marker cannot be specified without a key marker.', { ArgumentName: 'version-id-marker', ArgumentValue: idMarker })
  const { entries } = limit === 0 ? { entries: [] } : await request.container().listVersions({ limit: limit + 1, marker: keyMarker, version_marker: idMarker, end_marker: '', prefix, delimiter, reverse: false, path: null })
  const shown = entries.slice(0, limit)
  const more = entries.length > limit
  const last = shown.at(-1)
  const versionXml = (row: VersionRow) => {
    const head = `${leaf('Key', name(row.name))}${leaf('VersionId', versionId(row.version))}${leaf('IsLatest', row.is_latest)}${leaf('LastModified', s3Time(row.modified_at))}`
    return row.deleted ? element('DeleteMarker', head, ownerXml(request)) : element('Version', head, leaf('ETag', `"${etagOfRow(row)}"`), checksumXml(row), leaf('Size', row.slo_size ?? row.size), ownerXml(request), leaf('StorageClass', 'STANDARD'))
  }
  const next = !more || last === undefined ? '' : isSubdir(last) ? leaf('NextKeyMarker', name(last.subdir)) : `${leaf('NextKeyMarker', name(last.name))}${leaf('NextVersionIdMarker', versionId(last.version))}`
  return xmlResponse(element('ListVersionsResult', leaf('Name', request.bucketName), leaf('Prefix', name(prefix)), leaf('KeyMarker', name(keyMarker)), leaf('VersionIdMarker', idMarker), next, leaf('MaxKeys', limit), optional('Delimiter', delimiter === '' ? null : name(delimiter)),
    optional('EncodingType', encoding), leaf('IsTruncated', more), ...shown.map((entry) => (isSubdir(entry) ? '' : versionXml(entry))), prefixesXml(shown.flatMap((entry) => (isSubdir(entry) ? [entry.subdir] : [])), name)))
}
