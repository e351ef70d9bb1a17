/** Containers: creation, metadata, ACLs and the listing of objects. */
import { isFault } from '../../../schema/values/fault.ts'
import { cleanAcl } from '../acl.ts'
import { bulkUpload } from '../features/bulk-upload.ts'
import { cleanEtagFlag, etagHeaders } from '../features/etag-quoter.ts'
import { formPost } from '../features/formpost.ts'
import { syncTarget } from '../features/sync-realms.ts'
import { DELETE_MARKER } from '../features/versions.ts'
import { staticWebContainer } from '../features/staticweb.ts'
import { swiftFault } from '../errors.ts'
import { LIMITS, type Metadata, metaChanges } from '../headers.ts'
import { forgetAccount, forgetContainer } from '../known.ts'
import { isSubdir } from '../list.ts'
import { listQuery, listingFormat, renderListing, sized } from '../listing.ts'
import { containerKey } from '../names.ts'
import { policyIndex, policyName } from '../policies.ts'
import { type Access, type SwiftRequest, empty } from '../request.ts'
import { httpDate } from '../timestamp.ts'
import { type ContainerInfo, NULL_VERSION, versionId } from './rows.ts'
import { shownRow } from './views.ts'

const SPECIAL = ['x-container-read', 'x-container-write', 'x-container-sync-to', 'x-container-sync-key', 'x-versions-location', 'x-history-location', 'x-versions-enabled'] as const
const OWNER_ONLY = /^x-container-(read|write|sync-.*)$|^x-container-meta-temp-url-key(-2)?$/

export function containerHeaders({ env, isReseller }: Pick<SwiftRequest, 'env' | 'isReseller'>, info: ContainerInfo, access: Access): Record<string, string> {
  const headers: Record<string, string> = {
    'x-container-object-count': String(info.object_count), 'x-container-bytes-used': String(info.bytes_used), 'x-timestamp': info.created_at, 'x-put-timestamp': info.put_at,
    'last-modified': httpDate(info.put_at), 'x-storage-policy': policyName(env, info.policy), 'accept-ranges': 'bytes',
  }
  for (const [name, value] of Object.entries(info.metadata)) if (name.startsWith('x-container-sysmeta-') ? isReseller : access === 'owner' || !OWNER_ONLY.test(name)) headers[name] = value
  return headers
}

const objectOf = (request: SwiftRequest) => request.env.CONTAINER.getByName(containerKey(request.names.account, request.container))

export async function headContainer(request: SwiftRequest): Promise<Response> {
  const access = await request.needIn('container', 'head', request.container, null)
  const web = await staticWebContainer(request)
  if (web !== null) return web
  const info = await objectOf(request).info()
  if (info === null) throw swiftFault(404)
  return empty(204, { ...containerHeaders(request, info, access), 'content-type': 'text/plain; charset=utf-8' })
}

export async function getContainer(request: SwiftRequest): Promise<Response> {
  const web = await staticWebContainer(request)
  if (web !== null) return web
  const access = await request.needIn('container', 'get', request.container, null)
  if (request.query.has('versions')) return await listVersions(request, access)
  const format = listingFormat(request)
  const { info, text } = await objectOf(request).listText(listQuery(request, LIMITS.container_listing_limit), format)
  return renderListing(format, text, containerHeaders(request, info, access))
}

const EMPTY_MD5 = 'd41d8cd98f00b204e9800998ecf8427e'

/** ?versions: all of them, as JSON only. */
async function listVersions(request: SwiftRequest, access: Access): Promise<Response> {
  const given = request.query.get('format')
  if (given === null || given === '' ? !/\*\/\*|application\/(json|\*)/.test(request.headers.get('accept') || '*/*') : given !== 'json') throw swiftFault(406)
  const version_marker = request.query.get('version_marker') ?? ''
  const query = { ...listQuery(request, LIMITS.container_listing_limit), version_marker }
  if (version_marker !== '' && query.marker === '') throw swiftFault(400, 'version_marker param requires marker')
  if (version_marker !== '' && version_marker !== NULL_VERSION && !/^\d{1,10}(\.\d{1,5})?$/.test(version_marker)) throw swiftFault(400, 'invalid version_marker param')
  const { info, entries } = await objectOf(request).listVersions(query)
  const rows = entries.map((entry) => (isSubdir(entry) ? entry : {
    ...shownRow(entry, request.names.account), ...(entry.deleted ? { hash: EMPTY_MD5, content_type: DELETE_MARKER } : {}), version_id: versionId(entry.version), is_latest: entry.is_latest,
  }))
  return sized(JSON.stringify(rows), { ...containerHeaders(request, info, access), 'content-type': 'application/json; charset=utf-8' })
}

/** What a PUT or POST asks to change, checked. */
export function containerChanges({ headers, env, isReseller }: Pick<SwiftRequest, 'headers' | 'env' | 'isReseller'>): Metadata {
  const changes = metaChanges(headers, 'container', [...SPECIAL, ...etagHeaders(env, 'container'), ...(isReseller ? ['x-container-sysmeta-read-only'] : [])])
  cleanEtagFlag(changes, 'container')
  const sync = changes['x-container-sync-to']
  if (sync !== undefined && sync !== '') syncTarget(env, sync)
  for (const name of ['x-container-read', 'x-container-write']) {
    const value = changes[name]
    if (value !== undefined && value !== '') changes[name] = cleanAcl(name, value)
  }
  for (const [name, message] of [['quota-bytes', 'Invalid bytes quota.'], ['quota-count', 'Invalid count quota.']] as const) {
    const value = changes[`x-container-meta-${name}`]
    if (value !== undefined && value !== '' && !/^\d+$/.test(value)) throw swiftFault(400, message)
  }
  versionChanges(changes, headers)
  return changes
}

/** One of both modes of versioned writes, never both; setting one ends the other. */
function versionChanges(changes: Metadata, headers: Headers): void {
  const [stack, history] = [changes['x-versions-location'], changes['x-history-location']]
  if (stack !== undefined && stack !== '' && history !== undefined && history !== '') throw swiftFault(400, 'Only one of X-Versions-Location or X-History-Location may be specified')
  for (const [name, other] of [['x-versions-location', 'x-history-location'], ['x-history-location', 'x-versions-location']] as const) {
    const value = changes[name]
    if (value === undefined || value === '') continue
    let location = value
    try {
      location = decodeURIComponent(value)
    } catch {}
    if (location.includes('/')) throw swiftFault(412, `${name === 'x-versions-location' ? 'X-Versions-Location' : 'X-History-Location'} header must be a container name`)
    changes[name] = location
    changes[other] = ''
  }
  if (headers.get('x-versions-mode')?.toLowerCase() === 'history' && stack !== undefined && stack !== '') {
    changes['x-history-location'] = changes['x-versions-location'] ?? ''
    changes['x-versions-location'] = ''
  }
}

export async function putContainer(request: SwiftRequest): Promise<Response> {
  if (request.query.has('extract-archive')) return await bulkUpload(request)
  await request.admit('container', 'put')
  const changes = containerChanges(request)
  const { created } = await createContainer(request, request.container, policyIndex(request.env, request.headers.get('x-storage-policy')), changes)
  return empty(created ? 201 : 202)
}

export async function createContainer(request: SwiftRequest, container: string, policy: number | null, changes: Metadata): Promise<{ created: boolean; info: ContainerInfo }> {
  const { account } = request.names
  try {
    return await request.env.CONTAINER.getByName(containerKey(account, container)).put(account, container, policy, changes)
  } catch (error) {
    if (isFault(error, 'conflict')) throw swiftFault(409)
    throw error
  } finally {
    forgetContainer(request.env, account, container)
    forgetAccount(request.env, account)
  }
}

export async function postContainer(request: SwiftRequest): Promise<Response> {
  if (/^multipart\/form-data/i.test(request.headers.get('content-type') ?? '')) return await formPost(request)
  await request.admit('container', 'post')
  await objectOf(request).post(containerChanges(request))
  forgetContainer(request.env, request.names.account, request.container)
  return empty(204)
}

export async function deleteContainer(request: SwiftRequest): Promise<Response> {
  await request.admit('container', 'delete')
  await objectOf(request).remove()
  forgetContainer(request.env, request.names.account, request.container)
  forgetAccount(request.env, request.names.account)
  return empty(204)
}
