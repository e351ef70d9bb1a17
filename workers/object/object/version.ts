/** ?version-id: one version of an object, whatever is current (swift/common/middleware/versioned_writes/object_versioning.py). Works while versioning is suspended too. */
import { NULL_VERSION, versioningOf } from '../container/rows.ts'
import { swiftFault } from '../errors.ts'
import { DELETE_MARKER } from '../features/versions.ts'
import { containerKey } from '../names.ts'
import { type SwiftRequest, empty } from '../request.ts'
import { httpDate } from '../timestamp.ts'
import { beginWrite, removeVersion } from './write.ts'

/** The version asked for, checked; undefined where none is. */
export async function versionAsked(request: SwiftRequest): Promise<string | undefined> {
  const id = request.query.get('version-id')
  if (id === null || id === '') return undefined
  const info = await request.containerInfo()
  if (info === null) throw swiftFault(404)
  if (id !== NULL_VERSION && versioningOf(info) === 'never') throw swiftFault(400, 'version-aware operations require that the container is versioned')
  if (id !== NULL_VERSION && !/^\d{1,10}(\.\d{1,5})?$/.test(id)) throw swiftFault(400, 'Invalid version parameter')
  return id
}

const containerOf = (request: SwiftRequest) => request.env.CONTAINER.getByName(containerKey(request.names.account, request.container))

/** A 404 that says it was a delete marker, where that is what the id names. */
export async function missingVersion(request: SwiftRequest, id: string): Promise<Error> {
  const found = await containerOf(request).version(request.objectName.object, id)
  return swiftFault(404, undefined, found?.deleted === true ? { 'x-object-version-id': id, 'content-type': DELETE_MARKER } : undefined)
}

/** PUT: that version is the current one from now on. */
export async function putVersion(request: SwiftRequest, id: string): Promise<Response> {
  if (id === NULL_VERSION) throw swiftFault(400, 'Invalid version parameter')
  const length = request.headers.get('content-length')
  if (length === null && request.request.body === null) throw swiftFault(411, 'Missing Content-Length header.')
  if (length !== null ? length !== '0' : (await request.request.arrayBuffer()).byteLength > 0) throw swiftFault(400, 'PUT version-id requests require a zero byte body')
  const { object } = request.objectName
  const found = await containerOf(request).version(object, id)
  if (found === null || found.deleted || !(await containerOf(request).restoreVersion(object, id))) throw swiftFault(404, 'The specified version does not exist')
  return empty(201, { etag: found.slo_etag === null ? found.etag : `"${found.slo_etag}"`, 'last-modified': httpDate(found.modified_at), 'x-object-version-id': id })
}

/** DELETE: that version is gone for good. Where it was the current one, nothing is. */
export async function deleteVersion(request: SwiftRequest, id: string): Promise<Response> {
  const begun = await beginWrite(request.env, request.objectName)
  const removed = await removeVersion(request.env, begun, id, false, request.now_ms)
  const current = await containerOf(request).object(request.objectName.object)
  const headers = { 'x-object-version-id': id, 'x-object-current-version-id': current === null || current.version === '' ? NULL_VERSION : current.version }
  if (removed === null) throw swiftFault(404, undefined, headers)
  return empty(204, headers)
}
