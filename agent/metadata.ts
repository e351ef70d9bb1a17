/**
 * What a guest reads at 169.254.169.254 and on its config drive: OpenStack's documents by date, and EC2's tree. Pure: a server's metadata and a path give an
 * answer. Which server is asking is found by network and address, never by anything in the request.
 * Layout as in nova/api/metadata/base.py.
 */
import type { DesiredItem, ServerMetadata } from '../schema/agent/desired.ts'
import type { MetadataSource } from './drivers/network/driver.ts'
import type { DesiredState } from './state.ts'
import { keyOf } from './state.ts'

export interface MetadataView {
  metadata: ServerMetadata
  local_ipv4: string | null
}

export interface MetadataRequest {
  method: string
  path: string
  headers: Record<string, string>
  body: Uint8Array
}

export interface MetadataAnswer {
  status: number
  headers: Record<string, string>
  body: Uint8Array | string
}

const OPENSTACK_DATES = ['2012-08-10', '2013-04-04', '2013-10-17', '2015-10-15', '2016-06-30', '2016-10-06', '2017-02-22', '2018-08-27', '2020-10-14']
const EC2_DATES = ['1.0', '2007-01-19', '2007-03-01', '2007-08-29', '2007-10-10', '2007-12-15', '2008-02-01', '2008-09-01', '2009-04-04']
/** Date from which each file is there. */
const FILES: Record<string, string> = { 'meta_data.json': '2012-08-10', user_data: '2012-08-10', password: '2013-04-04', 'vendor_data.json': '2013-10-17', 'network_data.json': '2015-10-15', 'vendor_data2.json': '2016-10-06' }
const TOKEN_TTL_MAX_S = 21_600

const text = (body: string | Uint8Array, type = 'text/plain; charset=utf-8', status = 200): MetadataAnswer => ({ status, headers: { 'content-type': type }, body })
const json = (value: unknown): MetadataAnswer => text(JSON.stringify(value), 'application/json')
const notFound: MetadataAnswer = text('404 Not Found\n', undefined, 404)

export function metaDataDocument(metadata: ServerMetadata, date = 'latest'): Record<string, unknown> {
  const since = (when: string) => date === 'latest' || date >= when
  return {
    uuid: metadata.uuid,
    name: metadata.name,
    hostname: metadata.hostname,
    availability_zone: metadata.availability_zone,
    launch_index: metadata.launch_index,
    meta: metadata.meta,
    public_keys: metadata.public_keys,
    ...(metadata.admin_pass === null ? {} : { admin_pass: metadata.admin_pass }),
    ...(since('2013-10-17') ? { keys: metadata.keys } : {}),
    ...(since('2015-10-15') ? { project_id: metadata.project_id } : {}),
    ...(since('2016-06-30') ? { devices: [] } : {}),
    ...(since('2020-10-14') ? { dedicated_cpus: [] } : {}),
  }
}

export const userData = (metadata: ServerMetadata): Uint8Array | null => (metadata.user_data_base64 === null ? null : new Uint8Array(Buffer.from(metadata.user_data_base64, 'base64')))

/** EC2 wants its own kind of id; the end of the UUID is what differs between servers of one project. */
export const ec2InstanceId = (uuid: string): string => `i-${uuid.replaceAll('-', '').slice(-17)}`

/** EC2's tree: folders are objects. */
export function ec2Tree(view: MetadataView): Record<string, unknown> {
  const { metadata } = view
  const keys = Object.entries(metadata.public_keys)
  return {
    'ami-id': 'ami-00000001',
    'ami-launch-index': String(metadata.launch_index),
    'ami-manifest-path': 'none',
    'block-device-mapping': { ami: 'vda', root: '/dev/vda' },
    hostname: metadata.hostname,
    'instance-action': 'none',
    'instance-id': ec2InstanceId(metadata.uuid),
    'instance-type': metadata.instance_type,
    'local-hostname': metadata.hostname,
    'local-ipv4': view.local_ipv4 ?? '',
    placement: { 'availability-zone': metadata.availability_zone },
    'public-hostname': metadata.hostname,
    'public-ipv4': '',
    ...(keys.length > 0 ? { 'public-keys': keys.map(([name, key]) => ({ name, 'openssh-key': key })) } : {}),
    'reservation-id': `r-${metadata.uuid.replaceAll('-', '').slice(-8)}`,
    'security-groups': '',
  }
}

function openstack(parts: string[], view: MetadataView, method: string): MetadataAnswer {
  const [date, file, ...rest] = parts
  if (date === undefined) return text([...OPENSTACK_DATES, 'latest'].join('\n'))
  if (rest.length > 0 || !(date === 'latest' || OPENSTACK_DATES.includes(date))) return notFound
  const here = Object.keys(FILES).filter((name) => date === 'latest' || date >= (FILES[name] ?? ''))
  const user = userData(view.metadata)
  if (file === undefined) return text(here.filter((name) => name !== 'user_data' || user !== null).join('\n'))
  if (!here.includes(file)) return notFound
  switch (file) {
    case 'meta_data.json': return json(metaDataDocument(view.metadata, date))
    case 'user_data': return user === null ? notFound : text(user, 'application/octet-stream')
    case 'network_data.json': return json(view.metadata.network_data ?? {})
    // A guest may post its password once; this cloud keeps none.
    case 'password': return method === 'GET' || method === 'HEAD' ? text('') : text('409 Conflict\n', undefined, 409)
    default: return json({})
  }
}

function ec2(parts: string[], view: MetadataView): MetadataAnswer {
  const [date, top, ...rest] = parts
  if (date === undefined) return text([...EC2_DATES, 'latest'].join('\n'))
  const user = userData(view.metadata)
  if (top === undefined) return text(['meta-data/', ...(user ? ['user-data'] : [])].join('\n'))
  if (top === 'user-data' && rest.length === 0) return user === null ? notFound : text(user, 'application/octet-stream')
  if (top !== 'meta-data') return notFound
  let node: unknown = ec2Tree(view)
  for (const part of rest) {
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, part)) return notFound
    node = (node as Record<string, unknown>)[part]
  }
  if (typeof node === 'string') return text(node)
  if (Array.isArray(node)) return text(node.map((entry, index) => `${index}=${entry.name}`).join('\n'))
  return text(Object.entries(node as object).filter(([name]) => name !== 'name').map(([name, value]) => (typeof value === 'string' ? name : `${name}/`)).join('\n'))
}

export function answerMetadata(view: MetadataView, request: MetadataRequest): MetadataAnswer {
  let path: string
  try {
    path = decodeURIComponent(request.path.split('?')[0] ?? '/')
  } catch {
    return text('400 Bad Request\n', undefined, 400)
  }
  const parts = path.split('/').filter((part) => part !== '')
  const { method } = request
  if (method === 'PUT' && parts.join('/') === 'latest/api/token') {
    const ttl = Number(request.headers['x-aws-ec2-metadata-token-ttl-seconds'] ?? 'NaN')
    // As Amazon's: a request that came through a proxy gets none.
    if (request.headers['x-forwarded-for'] !== undefined) return text('403 Forbidden\n', undefined, 403)
    if (!Number.isInteger(ttl) || ttl < 1 || ttl > TOKEN_TTL_MAX_S) return text('400 Bad Request\n', undefined, 400)
    const answer = text(Buffer.from(ec2InstanceId(view.metadata.uuid)).toString('base64url'))
    answer.headers['x-aws-ec2-metadata-token-ttl-seconds'] = String(ttl)
    return answer
  }
  const posting = method === 'POST' && parts[0] === 'openstack' && parts[2] === 'password'
  if (method !== 'GET' && method !== 'HEAD' && !posting) return text('405 Method Not Allowed\n', undefined, 405)
  if (parts[0] === 'openstack') return openstack(parts.slice(1), view, method)
  if (parts.length === 0 || parts[0] === 'latest' || EC2_DATES.includes(parts[0] ?? '')) return ec2(parts, view)
  return notFound
}

/** The metadata service's source: the desired state of this host. Works without the plane. */
export function metadataSource(state: DesiredState): MetadataSource {
  const ports = () => Object.values(state.items).filter((item): item is DesiredItem<'port'> => item.kind === 'port' && item.state === 'present')
  return {
    find(networkId, sourceIp) {
      const port = ports().find(({ spec }) => spec.network_id === networkId && spec.server_id !== null && spec.fixed_ips.some((one) => one.ip_address === sourceIp))
      return port?.spec.server_id ?? null
    },
    async answer(serverId, request) {
      const server = state.items[keyOf('server', serverId)] as DesiredItem<'server'> | undefined
      if (server?.state !== 'present') return notFound
      const first = server.spec.nics[0]
      const port = first && (state.items[keyOf('port', first.port_id)] as DesiredItem<'port'> | undefined)
      const local_ipv4 = port?.spec.fixed_ips.find((one) => one.ip_address.includes('.'))?.ip_address ?? null
      return answerMetadata({ metadata: server.spec.metadata, local_ipv4 }, request)
    },
  }
}
