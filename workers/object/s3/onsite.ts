/**
 * Which S3 requests a door serves itself: those that move bytes of objects. All others, and whatever deletes in a bucket that keeps versions or holds locks, are the plane's: a door
 * passes them on as they are. Pure.
 */
import { Fault } from '../../../schema/values/fault.ts'
import { type ContainerInfo, versioningOf } from '../container/rows.ts'
import type { Address } from './address.ts'
import type { Bucket } from './known.ts'

/** Query parameters that make another operation of a request: one that no operation has is refused by its name. */
export const SUBRESOURCES = [
  'accelerate', 'acl', 'analytics', 'attributes', 'cors', 'delete', 'encryption', 'intelligent-tiering', 'inventory', 'legal-hold', 'lifecycle', 'location', 'logging', 'metadataConfiguration', 'metadataTable', 'metrics', 'notification', 'object-lock',
  'ownershipControls', 'policy', 'policyStatus', 'publicAccessBlock', 'renameObject', 'replication', 'requestPayment', 'restore', 'retention', 'select', 'session', 'tagging', 'torrent', 'uploads', 'uploadId', 'versioning', 'versions', 'website',
] as const

/** What a door is told that asks for what the plane does itself: its picture of the bucket is an old one. */
export const PLANE_ONLY = 'PlaneOnly'

/** GetObject, HeadObject, PutObject, CopyObject, UploadPart, UploadPartCopy, DeleteObject. */
export function movesBytes(method: string, { bucket, key }: Pick<Address, 'bucket' | 'key'>, query: URLSearchParams): boolean {
  if (bucket === null || key === null) return false
  const asked = SUBRESOURCES.filter((name) => query.has(name))
  if (method === 'PUT') return asked.length === 0 || (asked.length === 1 && asked[0] === 'uploadId' && query.has('partNumber'))
  return asked.length === 0 && (method === 'GET' || method === 'HEAD' || (method === 'DELETE' && !query.has('versionId')))
}

/** Whether the bucket is one where a door may do this. */
export function bucketTakes(method: string, { info, config }: Bucket): boolean {
  if (method === 'GET' || method === 'HEAD') return true
  // Older versions in a container of their own: writes touch both.
  if (info.metadata['x-versions-location'] !== undefined || info.metadata['x-history-location'] !== undefined) return false
  return method === 'PUT' || (versioningOf(info) === 'never' && config['object-lock'] === undefined)
}

/** Once a write has begun its container has been asked: what is known of it now is no old picture. */
export function checkBegun(isDoor: boolean, method: string, info: ContainerInfo): void {
  if (isDoor && !bucketTakes(method, { info, config: {} })) throw new Fault('unavailable', 'This is done by the plane.', { type: PLANE_ONLY })
}
