/** A container's metadata after a change, and which settings exclude each other; pure. */
import { swiftFault } from '../errors.ts'
import { type Metadata, isTrue, mergeMeta } from '../headers.ts'

/** Once set, versioning is never unset: it is on, or suspended. */
export function mergedMetadata(before: Metadata, changes: Metadata): Metadata {
  const { 'x-versions-enabled': wanted, ...rest } = changes
  const after = mergeMeta(before, rest, 'container')
  if (wanted !== undefined && wanted !== '') after['x-versions-enabled'] = isTrue(wanted) ? 'True' : 'False'
  if (after['x-versions-enabled'] === undefined) return after
  if (after['x-versions-location'] !== undefined || after['x-history-location'] !== undefined) throw swiftFault(400, 'Object versioning and versioned writes exclude each other.')
  if (after['x-container-sync-to'] !== undefined) throw swiftFault(400, 'A container that is synced to another one cannot be versioned.')
  return after
}
