/**
 * Symbolic links: an empty object that stands for another one (swift/common/middleware/symlink.py). A static link holds only while its target has the ETag that the link was
 * made with. Following one asks for the right to read the target, as if the caller had named it.
 */
import { swiftFault } from '../errors.ts'
import { type Metadata, contentTypeOf, metaOf, objectMetadata } from '../headers.ts'
import { type ObjectName, PREFIX, decodeName, quotePath } from '../names.ts'
import { openObject } from '../object/large.ts'
import { linkRow } from './symlink-row.ts'
import { store } from '../object/put.ts'
import type { ManifestReader, SwiftRequest } from '../request.ts'

/** Links in a row. */
export const SYMLOOP_MAX = 2

export interface Link {
  target: ObjectName
  /** As it was given: quoted. */
  path: string
  /** Of a static link. */
  etag: string | null
}

const bad = () => swiftFault(412, 'X-Symlink-Target header must be of the form <container name>/<object name>')

/** Quoted 'container/object'. */
function targetOf(path: string, account: string): ObjectName {
  const plain = decodeName(path)
  const at = plain.indexOf('/')
  if (at <= 0 || at === plain.length - 1) throw bad()
  return { account, container: plain.slice(0, at), object: plain.slice(at + 1) }
}

/** What a stored object links to; null where it is none. */
export function linkOf(metadata: Metadata, account: string): Link | null {
  const path = metaOf(metadata, 'x-object-sysmeta-symlink-target')
  if (path === undefined) return null
  const target = targetOf(path, metaOf(metadata, 'x-object-sysmeta-symlink-target-account') ?? account)
  return { target, path, etag: metaOf(metadata, 'x-object-sysmeta-symlink-target-etag') ?? null }
}

/** Where a link leads, as a path of this service. */
export const linkPath = (name: ObjectName): string => `${PREFIX}/v1/${quotePath(name.account)}/${quotePath(`${name.container}/${name.object}`)}`

/** ?symlink=get: the link itself, told by headers. */
export function linkHeaders(metadata: Metadata): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of ['target', 'target-account', 'target-etag', 'target-bytes']) {
    const value = metaOf(metadata, `x-object-sysmeta-symlink-${name}`)
    if (value !== undefined) headers[`x-symlink-${name}`] = value
  }
  return headers
}

/** PUT with X-Symlink-Target. */
export async function putLink(request: SwiftRequest, name: ObjectName): Promise<Response> {
  const { headers } = request
  const length = headers.get('content-length')
  if (length !== null ? length !== '0' : request.request.body !== null && (await request.request.arrayBuffer()).byteLength > 0) throw swiftFault(400, 'Symlink requests require a zero byte body')
  const given = headers.get('x-symlink-target') ?? ''
  if (given.startsWith('/') || decodeName(given).startsWith('/')) throw bad()
  const account = headers.get('x-symlink-target-account')
  if (account !== null && (account === '' || decodeName(account).includes('/'))) throw swiftFault(412, 'Account name cannot contain slashes')
  const target = targetOf(given, account === null ? name.account : decodeName(account))
  if (target.account === name.account && target.container === name.container && target.object === name.object) throw swiftFault(400, 'Symlink cannot target itself')
  const metadata: Metadata = { ...objectMetadata(headers, request.now_s), 'X-Object-Sysmeta-Symlink-Target': quotePath(`${target.container}/${target.object}`) }
  if (account !== null) metadata['X-Object-Sysmeta-Symlink-Target-Account'] = quotePath(target.account)
  const etag = (headers.get('x-symlink-target-etag') ?? '').trim().replace(/^"(.*)"$/, '$1')
  if (/[;"\\]/.test(etag)) throw swiftFault(400, 'Bad X-Symlink-Target-Etag format')
  let content_type = headers.get('content-type') === null && etag === '' ? 'application/symlink' : contentTypeOf(headers, name.object)
  if (etag !== '') {
    const there = { 'content-location': linkPath(target) }
    await request.needIn('object', 'get', target.container, target.object, target.account)
    const opened = await openObject(request, target, { withBody: false, link: 'static' })
    if (opened === null) throw swiftFault(409, 'X-Symlink-Target does not exist', there)
    opened.drop()
    const found = opened.etag.replace(/"/g, '')
    if (found !== etag) throw swiftFault(409, `Object Etag '${found}' does not match X-Symlink-Target-Etag header '${etag}'`, there)
    metadata['X-Object-Sysmeta-Symlink-Target-Etag'] = etag
    metadata['X-Object-Sysmeta-Symlink-Target-Bytes'] = String(opened.size)
    if (headers.get('content-type') === null) content_type = opened.content_type
  }
  return await store(request, name, new Uint8Array(), { metadata, content_type, size: 0, etag: null, ...linkRow(metadata) })
}

/** Follows one link further, once the caller may read what it names. `expected`: the ETag that the link before asked for. */
export async function follow(request: ManifestReader, link: Link, found: string, expected: string | null, links: number, here: ObjectName): Promise<ObjectName> {
  if (expected !== null && expected !== (link.etag ?? found)) throw swiftFault(409, 'X-Symlink-Target-Etag headers do not match', { 'content-location': linkPath(here) })
  if (links >= SYMLOOP_MAX) throw swiftFault(409, `Too many levels of symbolic links, maximum allowed is ${SYMLOOP_MAX}`)
  request.segments = true
  await request.needIn('object', 'get', link.target.container, link.target.object, link.target.account)
  return link.target
}
