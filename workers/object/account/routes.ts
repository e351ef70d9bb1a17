/** Accounts: usage, metadata, and the list of containers. */
import { cleanAccountAcl } from '../acl.ts'
import { bulkDelete } from '../features/bulk-delete.ts'
import { bulkUpload } from '../features/bulk-upload.ts'
import { cleanEtagFlag, etagHeaders } from '../features/etag-quoter.ts'
import { swiftFault } from '../errors.ts'
import { LIMITS, metaChanges } from '../headers.ts'
import { forgetAccount } from '../known.ts'
import { isSubdir } from '../list.ts'
import { listQuery, listingFormat, listingText, renderListing } from '../listing.ts'
import { policyAt } from '../policies.ts'
import { type Access, type SwiftRequest, empty } from '../request.ts'
import { listingTime, timestampOf } from '../timestamp.ts'
import type { AccountInfo } from './store.ts'

/** Keys and limits are for the account's owners only. */
const OWNER_ONLY = /^x-account-meta-temp-url-key(-2)?$|^x-account-access-control$/

/** What the operator (ResellerAdmin) sets and sees. */
const OPERATOR_ONLY = ['x-account-sysmeta-read-only', 'x-account-sysmeta-global-write-ratelimit'] as const

export function accountHeaders({ env, now_ms, isReseller }: Pick<SwiftRequest, 'env' | 'now_ms' | 'isReseller'>, info: AccountInfo | null, access: Access): Record<string, string> {
  const created = info?.created_at ?? timestampOf(now_ms)
  const headers: Record<string, string> = {
    'x-account-container-count': String(info?.container_count ?? 0), 'x-account-object-count': String(info?.object_count ?? 0), 'x-account-bytes-used': String(info?.bytes_used ?? 0),
    'x-timestamp': created, 'x-put-timestamp': created, 'accept-ranges': 'bytes',
  }
  for (const [index, totals] of Object.entries(info?.policies ?? {})) {
    const name = policyAt(env, Number(index))?.name.toLowerCase()
    if (name === undefined) continue
    headers[`x-account-storage-policy-${name}-container-count`] = String(totals.container_count)
    headers[`x-account-storage-policy-${name}-object-count`] = String(totals.object_count)
    headers[`x-account-storage-policy-${name}-bytes-used`] = String(totals.bytes_used)
  }
  for (const [name, value] of Object.entries(info?.metadata ?? {})) if (name.startsWith('x-account-sysmeta-') ? isReseller : access === 'owner' || !OWNER_ONLY.test(name)) headers[name] = value
  if (info?.metadata['x-account-meta-quota-bytes'] !== undefined) headers['x-account-quota-bytes'] = info.metadata['x-account-meta-quota-bytes']
  return headers
}

export async function headAccount(request: SwiftRequest): Promise<Response> {
  const access = await request.admit('account', 'head')
  const info = await request.env.ACCOUNT.getByName(request.names.account).info()
  if (info?.deleted_ms != null) throw swiftFault(410, undefined, { 'x-account-status': 'Deleted' })
  return empty(204, { ...accountHeaders(request, info, access), 'content-type': 'text/plain; charset=utf-8' })
}

export async function getAccount(request: SwiftRequest): Promise<Response> {
  const access = await request.admit('account', 'get')
  const format = listingFormat(request)
  const { info, entries } = await request.env.ACCOUNT.getByName(request.names.account).list(listQuery(request, LIMITS.account_listing_limit))
  if (info?.deleted_ms != null) throw swiftFault(410, undefined, { 'x-account-status': 'Deleted' })
  const rows = entries.map((entry) => (isSubdir(entry) ? entry : { name: entry.name, count: entry.object_count, bytes: entry.bytes_used, last_modified: listingTime(entry.put_at) }))
  return renderListing(format, listingText(format, { element: 'account', name: request.names.account, item: 'container' }, rows), accountHeaders(request, info, access))
}

export async function postAccount(request: SwiftRequest): Promise<Response> {
  if (request.query.has('bulk-delete')) return await bulkDelete(request)
  await request.admit('account', 'post')
  const changes = metaChanges(request.headers, 'account', ['x-account-access-control', ...etagHeaders(request.env, 'account'), ...(request.isReseller ? OPERATOR_ONLY : [])])
  const acl = changes['x-account-access-control']
  if (acl !== undefined) changes['x-account-access-control'] = cleanAccountAcl(acl)
  cleanEtagFlag(changes, 'account')
  const quota = changes['x-account-meta-quota-bytes']
  if (quota !== undefined) {
    if (!request.allows('swift:account_quota')) throw swiftFault(403)
    if (quota !== '' && !/^\d+$/.test(quota)) throw swiftFault(400)
  }
  await request.env.ACCOUNT.getByName(request.names.account).post(request.names.account, changes)
  forgetAccount(request.env, request.names.account)
  return empty(204)
}

export async function putAccount(request: SwiftRequest): Promise<Response> {
  if (request.query.has('extract-archive')) return await bulkUpload(request)
  await request.admit('account', 'put')
  if (!request.isReseller) throw swiftFault(405)
  const isNew = await request.env.ACCOUNT.getByName(request.names.account).revive(request.names.account)
  forgetAccount(request.env, request.names.account)
  return empty(isNew ? 201 : 202)
}

export async function deleteAccount(request: SwiftRequest): Promise<Response> {
  if (request.query.has('bulk-delete')) return await bulkDelete(request)
  await request.admit('account', 'delete')
  // Only the operator deletes accounts; what is in them goes later (features/reaper.ts).
  if (!request.isReseller) throw swiftFault(405)
  const there = await request.env.ACCOUNT.getByName(request.names.account).remove()
  forgetAccount(request.env, request.names.account)
  if (!there) throw swiftFault(404)
  return empty(204)
}
