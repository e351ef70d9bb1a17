/**
 * Access control lists: canned ones, grants in headers, and XML; and what they mean for the container's own lists, which Swift clients see and which decide. An S3 account is a
 * project, its canonical id the project's. Pure.
 */
import type { Caller } from '../../../schema/values/caller.ts'
import { s3Fault } from './errors.ts'
import { XSI, element, escapeXml, leaf } from './markup.ts'
import { type XmlNode, childOf, childrenOf, needText, parseXml, textOf } from './xml.ts'

export const PERMISSIONS = ['FULL_CONTROL', 'READ', 'WRITE', 'READ_ACP', 'WRITE_ACP'] as const
export type Permission = (typeof PERMISSIONS)[number]

export interface Grant {
  /** A project's id, or one of the groups. */
  grantee: string
  permission: Permission
}

export const ALL_USERS = 'http://acs.amazonaws.com/groups/global/AllUsers'
export const AUTHENTICATED_USERS = 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers'
const GRANTS_MAX = 100

export const ownerGrant = (owner: string): Grant => ({ grantee: owner, permission: 'FULL_CONTROL' })

function canned(name: string, owner: string, bucketOwner: string): Grant[] {
  const own = ownerGrant(owner)
  switch (name) {
    case 'private':
      return [own]
    case 'public-read':
      return [own, { grantee: ALL_USERS, permission: 'READ' }]
    case 'public-read-write':
      return [own, { grantee: ALL_USERS, permission: 'READ' }, { grantee: ALL_USERS, permission: 'WRITE' }]
    case 'authenticated-read':
      return [own, { grantee: AUTHENTICATED_USERS, permission: 'READ' }]
    case 'bucket-owner-read':
      return [own, ...(owner === bucketOwner ? [] : [{ grantee: bucketOwner, permission: 'READ' as const }])]
    case 'bucket-owner-full-control':
      return [own, ...(owner === bucketOwner ? [] : [ownerGrant(bucketOwner)])]
    case 'aws-exec-read':
    case 'log-delivery-write':
      throw s3Fault('NotImplemented', `The canned ACL ${name} is not there.`)
    default:
      throw s3Fault('InvalidArgument', undefined, { ArgumentName: 'x-amz-acl', ArgumentValue: name })
  }
}

const GRANT_HEADERS: Record<string, Permission> = { 'x-amz-grant-full-control': 'FULL_CONTROL', 'x-amz-grant-read': 'READ', 'x-amz-grant-write': 'WRITE', 'x-amz-grant-read-acp': 'READ_ACP', 'x-amz-grant-write-acp': 'WRITE_ACP' }

/** The list that headers ask for; null where they ask for none. */
export function grantsOfHeaders(headers: { get(name: string): string | null }, owner: string, bucketOwner: string): Grant[] | null {
  const name = headers.get('x-amz-acl')
  const given = Object.entries(GRANT_HEADERS).flatMap(([header, permission]) => grantees(headers.get(header)).map((grantee): Grant => ({ grantee, permission })))
  if (name !== null && given.length > 0) throw s3Fault('InvalidRequest', 'Specifying both Canned ACLs and Header Grants is not allowed')
  if (name !== null) return canned(name, owner, bucketOwner)
  return given.length === 0 ? null : given
}

function grantees(header: string | null): string[] {
  if (header === null) return []
  return header.split(',').map((part) => {
    const [, kind, value] = /^\s*(id|uri|emailAddress)="?([^"]*)"?\s*$/.exec(part) ?? []
    if (kind === 'emailAddress') throw s3Fault('NotImplemented', 'Grants by e-mail address are not there; use the id of a project.')
    if (kind === undefined || value === undefined || value === '') throw s3Fault('InvalidArgument', 'Argument format not recognized', { ArgumentValue: part.trim() })
    return kind === 'uri' ? groupOf(value) : value
  })
}

function groupOf(uri: string): string {
  if (uri !== ALL_USERS && uri !== AUTHENTICATED_USERS) throw s3Fault('InvalidArgument', 'Invalid group uri', { ArgumentName: 'uri', ArgumentValue: uri })
  return uri
}

export function grantsOfXml(text: string): Grant[] {
  const root = parseXml(text, 'AccessControlPolicy')
  const list = childOf(root, 'AccessControlList')
  if (list === undefined) throw s3Fault('MalformedACLError')
  const grants = childrenOf(list, 'Grant').map((node): Grant => {
    const permission = PERMISSIONS.find((one) => one === textOf(node, 'Permission'))
    const grantee = childOf(node, 'Grantee')
    if (permission === undefined || grantee === undefined) throw s3Fault('MalformedACLError')
    return { grantee: granteeOf(grantee), permission }
  })
  if (grants.length > GRANTS_MAX) throw s3Fault('MalformedACLError')
  return grants
}

function granteeOf(node: XmlNode): string {
  if (childOf(node, 'URI') !== undefined) return groupOf(needText(node, 'URI').trim())
  if (childOf(node, 'EmailAddress') !== undefined) throw s3Fault('NotImplemented', 'Grants by e-mail address are not there; use the id of a project.')
  const id = needText(node, 'ID').trim()
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) throw s3Fault('InvalidArgument', 'Invalid id', { ArgumentName: 'CanonicalUser/ID', ArgumentValue: id })
  return id
}

export function aclXml(owner: string, ownerName: string, grants: readonly Grant[]): string {
  const grantee = (id: string) => {
    const group = id === ALL_USERS || id === AUTHENTICATED_USERS
    return `<Grantee xmlns:xsi="${XSI}" xsi:type="${group ? 'Group' : 'CanonicalUser'}">${group ? leaf('URI', id) : `${leaf('ID', id)}${leaf('DisplayName', id === owner ? ownerName : id)}`}</Grantee>`
  }
  return element('AccessControlPolicy', element('Owner', leaf('ID', owner), leaf('DisplayName', ownerName)), element('AccessControlList', ...grants.map((grant) => element('Grant', grantee(grant.grantee), `<Permission>${escapeXml(grant.permission)}</Permission>`))))
}

/** The container's lists that stand for a bucket's grants: '' where there is none. */
export function containerLists(grants: readonly Grant[], owner: string): { read: string; write: string } {
  const listFor = (permission: 'READ' | 'WRITE') => grants.filter((grant) => (grant.permission === permission || grant.permission === 'FULL_CONTROL') && grant.grantee !== owner)
    .flatMap(({ grantee }) => (grantee === ALL_USERS ? (permission === 'READ' ? ['.r:*', '.rlistings'] : ['.r:*']) : grantee === AUTHENTICATED_USERS ? ['*:*'] : [`${grantee}:*`]))
  return { read: [...new Set(listFor('READ'))].join(','), write: [...new Set(listFor('WRITE'))].join(',') }
}

/** The grants that a container's lists stand for, where Swift set them. */
export function grantsOfLists(read: string | undefined, write: string | undefined, owner: string): Grant[] {
  const of = (list: string | undefined, permission: Permission): Grant[] => (list ?? '').split(',').flatMap((part): Grant[] => {
    if (part === '.r:*') return [{ grantee: ALL_USERS, permission }]
    if (part === '*:*') return [{ grantee: AUTHENTICATED_USERS, permission }]
    const project = /^([A-Za-z0-9_-]+):\*$/.exec(part)?.[1]
    return project === undefined ? [] : [{ grantee: project, permission }]
  })
  return [ownerGrant(owner), ...of(read, 'READ'), ...of(write, 'WRITE')]
}

/** Whether the grants give the caller this; anonymous is null. */
export function granted(grants: readonly Grant[], caller: Caller | null, permission: Exclude<Permission, 'FULL_CONTROL'>): boolean {
  return grants.some((grant) => (grant.permission === permission || grant.permission === 'FULL_CONTROL')
    && (grant.grantee === ALL_USERS || (caller !== null && (grant.grantee === AUTHENTICATED_USERS || (caller.project_id !== null && grant.grantee === caller.project_id)))))
}
