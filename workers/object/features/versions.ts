/**
 * Versioned writes: an overwritten object is kept in another container, under a name that sorts by object and time (swift/common/middleware/versioned_writes). In stack
 * mode (X-Versions-Location) a DELETE brings the last one back; in history mode (X-History-Location) it keeps the deleted one and a marker.
 */
import { isFault } from '../../../schema/values/fault.ts'
import type { ContainerInfo, ObjectRow } from '../container/store.ts'
import { swiftFault } from '../errors.ts'
import { isSubdir } from '../list.ts'
import { type ObjectName, containerKey } from '../names.ts'
import { sloOf } from '../object/large.ts'
import { bodyOf, openStored } from '../object/read.ts'
import { type Begun, beginWrite, commitWrite, removeObject, writeObject } from '../object/write.ts'
import type { SwiftRequest } from '../request.ts'

export const DELETE_MARKER = 'application/x-deleted;swift_versions_deleted=1'

/** Three hexadecimal digits of the name's length keep the versions of 'a' apart from those of 'a/b'. */
export const versionPrefix = (object: string): string => `${object.length.toString(16).padStart(3, '0')}${object}/`

const locationOf = (info: ContainerInfo): { container: string; history: boolean } | null => {
  const [stack, history] = [info.metadata['x-versions-location'], info.metadata['x-history-location']]
  if (stack !== undefined) return { container: stack, history: false }
  return history === undefined ? null : { container: history, history: true }
}

/** Before an overwrite: what is there now goes to the versions container. */
export async function keepVersion(request: Pick<SwiftRequest, 'env' | 'now_ms'>, begun: Begun): Promise<void> {
  const location = locationOf(begun.info)
  if (location === null || begun.existing === null) return
  await keep(request, begun, begun.existing, location.container)
}

async function keep(request: Pick<SwiftRequest, 'env' | 'now_ms'>, begun: Begun, existing: ObjectRow, container: string): Promise<void> {
  const { name } = begun
  const opened = await openStored(request.env, name, true, request.now_ms)
  if (opened === null) return
  const slo = sloOf(opened.metadata)
  const target: ObjectName = { account: name.account, container, object: `${versionPrefix(name.object)}${existing.at}` }
  const { 'Content-Type': _, ...metadata } = opened.metadata
  try {
    await writeObject(request.env, target, opened.size === 0 ? new Uint8Array() : bodyOf(await opened.open(null)), { metadata, content_type: opened.content_type, size: opened.size, etag: null, ...slo }, request.now_ms)
  } catch (error) {
    opened.drop()
    // Without its container the version can't be kept, so the write is refused: nothing is lost silently.
    if (isFault(error, 'not_found')) throw swiftFault(412)
    throw error
  }
}

/** Instead of a DELETE in a versioned container. True where it was settled here. */
export async function restoreVersion(request: Pick<SwiftRequest, 'env' | 'now_ms'>, begun: Begun): Promise<boolean> {
  const location = locationOf(begun.info)
  if (location === null) return false
  if (location.history) {
    if (begun.existing === null) return false
    await keep(request, begun, begun.existing, location.container)
    const marker: ObjectName = { account: begun.name.account, container: location.container, object: `${versionPrefix(begun.name.object)}${begun.timestamp}` }
    await writeObject(request.env, marker, new Uint8Array(), { metadata: {}, content_type: DELETE_MARKER, size: 0, etag: null }, request.now_ms)
    return false
  }
  for (;;) {
    const last = await lastVersion(request, begun.name, location.container)
    if (last === null) return false
    const version: ObjectName = { account: begun.name.account, container: location.container, object: last.name }
    if (last.content_type === DELETE_MARKER) {
      await removeObject(request.env, version, request.now_ms)
      if (begun.existing !== null) continue
      return true
    }
    const opened = await openStored(request.env, version, true, request.now_ms)
    if (opened === null) {
      await removeObject(request.env, version, request.now_ms)
      continue
    }
    const slo = sloOf(opened.metadata)
    const { 'Content-Type': _, ...metadata } = opened.metadata
    // A fresh time: the one of the request may be older than a write that came meanwhile.
    const again = await beginWrite(request.env, begun.name)
    await commitWrite(request.env, again, opened.size === 0 ? new Uint8Array() : bodyOf(await opened.open(null)), { metadata, content_type: opened.content_type, size: opened.size, etag: null, ...slo }, request.now_ms)
    await removeObject(request.env, version, request.now_ms)
    return true
  }
}

async function lastVersion(request: Pick<SwiftRequest, 'env' | 'now_ms'>, name: ObjectName, container: string): Promise<ObjectRow | null> {
  try {
    const { entries } = await request.env.CONTAINER.getByName(containerKey(name.account, container)).list({ limit: 1, marker: '', end_marker: '', prefix: versionPrefix(name.object), delimiter: '', reverse: true, path: null })
    const [last] = entries
    return last === undefined || isSubdir(last) ? null : last
  } catch (error) {
    if (isFault(error, 'not_found')) return null
    throw error
  }
}
