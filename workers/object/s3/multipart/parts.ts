/** What parts amount to: the ETag, the checksum of the whole, and the manifest by which Swift reads the same object. Pure. */
import { createHash } from 'node:crypto'
import { joinCrcs } from '../../../../schema/values/crc.ts'
import { type DigestName, createDigest, isCrc } from '../../../../schema/values/digests.ts'
import type { ObjectRow } from '../../container/rows.ts'
import type { Segment } from '../../object/large.ts'
import { listingTime } from '../../timestamp.ts'

export const PARTS_MAX = 10_000
/** All but the last. */
export const PART_BYTES_MIN = 5 * 1024 * 1024

export type ChecksumType = 'COMPOSITE' | 'FULL_OBJECT'

export interface Part {
  number: number
  row: ObjectRow
}

export const partName = (key: string, id: string, number: number): string => `${key}/${id}/${number}`
/** MD5 of the MD5s as bytes, and how many they are. */
export const multipartEtag = (etags: readonly string[]): string => `${createHash('md5').update(Buffer.from(etags.join(''), 'hex')).digest('hex')}-${etags.length}`

/** base64; null where the part has none of that algorithm. */
export function checksumOfPart(row: ObjectRow, algorithm: DigestName): string | null {
  const [name, value] = (row.extra?.['s3-checksum'] ?? '').split(' ')
  return name === algorithm && value !== undefined && value !== '' ? value : null
}

/** Of the parts' checksums; null where one of them has none. */
export function checksumOfParts(parts: readonly Part[], algorithm: DigestName, type: ChecksumType): string | null {
  const values = parts.map(({ row }) => checksumOfPart(row, algorithm))
  if (values.some((value) => value === null)) return null
  const bytes = values.map((value) => Buffer.from(value ?? '', 'base64'))
  if (type === 'FULL_OBJECT') return isCrc(algorithm) ? Buffer.from(joinCrcs(algorithm, parts.map(({ row }, at) => ({ crc: bytes[at] ?? new Uint8Array(), length: row.size })))).toString('base64') : null
  const digest = createDigest(algorithm)
  for (const part of bytes) digest.update(part)
  return `${digest.finish()}-${parts.length}`
}

/** What CreateMultipartUpload may ask for, and what it means where it says nothing. */
export function checksumTypeFor(algorithm: DigestName, asked: string | null): ChecksumType | null {
  if (asked === null) return algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE'
  if (asked === 'FULL_OBJECT') return isCrc(algorithm) ? 'FULL_OBJECT' : null
  return asked === 'COMPOSITE' && algorithm !== 'crc64nvme' ? 'COMPOSITE' : null
}

/** Lines of a static manifest, as Swift stores it. */
export const manifestOf = (container: string, parts: readonly Part[]): Segment[] =>
  parts.map(({ row }) => ({ name: `/${container}/${row.name}`, bytes: row.size, hash: row.etag, content_type: row.content_type, last_modified: listingTime(row.modified_at) }))
