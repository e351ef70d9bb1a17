/** Bodies of servers, by microversion (nova/api/openstack/compute/schemas/servers.py). */
import * as v from 'valibot'
import { canonicalIp, isIPv4, isIPv6 } from '../../../schema/values/ip.ts'
import { bool, description, integer, metadata, name, shape, text, uuid, wrap } from '../common/schemas.ts'

export interface NetworkRequest {
  uuid?: string
  port?: string | null
  fixed_ip?: string
  tag?: string
}

export interface BlockDevice {
  source_type?: 'image' | 'volume' | 'snapshot' | 'blank'
  destination_type?: 'local' | 'volume'
  uuid?: string | null
  boot_index?: number | null
  volume_size?: number | null
  delete_on_termination?: boolean
  device_name?: string | null
  tag?: string
  volume_type?: string | null
  guest_format?: string
  disk_bus?: string
  device_type?: string
  no_device?: boolean | string
}

export interface OldBlockDevice {
  device_name?: string
  volume_id?: string
  snapshot_id?: string
  volume_size?: number
  delete_on_termination?: boolean
}

export interface CreateServer {
  name: string
  flavorRef: string
  imageRef?: string
  adminPass?: string
  metadata?: Record<string, string>
  networks?: NetworkRequest[] | 'auto' | 'none'
  'OS-DCF:diskConfig'?: 'AUTO' | 'MANUAL'
  accessIPv4?: string
  accessIPv6?: string
  personality?: { path: string; contents: string }[]
  block_device_mapping?: OldBlockDevice[]
  block_device_mapping_v2?: BlockDevice[]
  config_drive?: boolean
  key_name?: string | null
  min_count?: number
  max_count?: number
  return_reservation_id?: boolean
  security_groups?: { name: string }[]
  user_data?: string | null
  availability_zone?: string | null
  description?: string | null
  tags?: string[]
  trusted_image_certificates?: string[] | null
  host?: string
  hypervisor_hostname?: string
  hostname?: string
}

const ipv4 = v.pipe(v.string(), v.check((value) => value === '' || isIPv4(value), 'must be an IPv4 address'))
/** RFC 5952, as upstream shows it. */
const shortIPv6 = (value: string): string => canonicalIp(value) ?? ''
const ipv6 = v.pipe(v.string(), v.check((value) => value === '' || isIPv6(value), 'must be an IPv6 address'), v.transform(shortIPv6))
const anyIp = v.pipe(v.string(), v.check((value) => isIPv4(value) || isIPv6(value), 'must be an IP address'))
export const tag = v.pipe(text(60, 1), v.regex(/^[^,/]*$/, 'must not have a comma or a slash'))
const diskConfig = v.picklist(['AUTO', 'MANUAL'], 'must be AUTO or MANUAL')
const base64 = v.pipe(text(65_535), v.check((value) => /^[A-Za-z0-9+/\r\n]*={0,2}\s*$/.test(value) && value.replace(/\s/g, '').length % 4 === 0, 'User data needs to be valid base 64.'))
const flavorRef = v.pipe(v.union([v.string('must be text'), v.pipe(v.number(), v.integer())], 'must be a flavor id'), v.transform(String), v.minLength(1, 'must not be empty'))
const imageRef = v.pipe(v.string('must be text'), v.check((value) => value === '' || /^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$/.test(value.split('/').at(-1) ?? ''), 'must be the UUID of an image'))
const hostname = v.pipe(text(63, 2), v.regex(/^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$/, 'must be a host name'))
const certs = v.nullable(v.pipe(v.array(text(255, 1)), v.minLength(1), v.maxLength(50), v.check((list) => new Set(list).size === list.length, 'must not repeat')))
const device = v.pipe(text(255, 1), v.regex(/^[a-zA-Z0-9._\-/]*$/, 'must be a device name'))
export const adminPass = v.string('must be text')
export const keyName = v.nullable(text(255, 1))
const personality = v.array(v.strictObject({ path: v.string(), contents: base64 }))
const tagged = (minor: number) => (minor >= 32 && minor <= 36) || minor >= 42

const network = (minor: number) =>
  shape<NetworkRequest>({ uuid: v.optional(uuid), port: v.optional(v.nullable(uuid)), fixed_ip: v.optional(anyIp) }, tagged(minor) && { tag: v.optional(tag) })

const bootIndex = v.nullable(v.pipe(v.union([v.number(), v.pipe(v.string(), v.regex(/^-?\d+$/))]), v.transform(Number), v.integer()))
const size = v.nullable(integer(1))

const blockDevice = (minor: number) =>
  shape<BlockDevice>(
    {
      source_type: v.optional(v.picklist(['volume', 'image', 'snapshot', 'blank'])), destination_type: v.optional(v.picklist(['local', 'volume'])), uuid: v.optional(v.nullable(text(255, 1))), boot_index: v.optional(bootIndex),
      volume_size: v.optional(size), delete_on_termination: v.optional(bool), device_name: v.optional(v.nullable(device)), guest_format: v.optional(text(255)), disk_bus: v.optional(text(255)), device_type: v.optional(text(255)),
      no_device: v.optional(v.union([v.boolean(), v.string()])), image_id: v.optional(uuid), volume_id: v.optional(uuid), snapshot_id: v.optional(uuid), virtual_name: v.optional(text(255)),
    },
    tagged(minor) && { tag: v.optional(tag) },
    minor >= 67 && { volume_type: v.optional(v.nullable(text(255))) },
  )

const oldBlockDevice = shape<OldBlockDevice>({
  virtual_name: v.optional(text(255)), volume_id: v.optional(uuid), snapshot_id: v.optional(uuid), volume_size: v.optional(integer(1)), delete_on_termination: v.optional(bool), device_name: v.optional(device),
  no_device: v.optional(v.union([v.boolean(), v.string()])), connection_info: v.optional(text(16_777_215)),
})

const list = <S extends v.GenericSchema>(item: S) => v.array(item, 'must be a list')

const server = (minor: number) =>
  shape<CreateServer>(
    {
      name, flavorRef, imageRef: v.optional(imageRef), adminPass: v.optional(adminPass), metadata: v.optional(metadata), 'OS-DCF:diskConfig': v.optional(diskConfig), accessIPv4: v.optional(ipv4), accessIPv6: v.optional(ipv6),
      networks: v.optional(minor >= 37 ? v.union([v.picklist(['auto', 'none']), list(network(minor))]) : list(network(minor))), block_device_mapping: v.optional(list(oldBlockDevice)), block_device_mapping_v2: v.optional(list(blockDevice(minor))),
      config_drive: v.optional(bool), key_name: v.optional(keyName), min_count: v.optional(integer(1)), max_count: v.optional(integer(1)), return_reservation_id: v.optional(bool),
      security_groups: v.optional(list(v.strictObject({ name: text(255) }))), user_data: v.optional(v.nullable(base64)), availability_zone: v.optional(v.nullable(text(255, 1))),
    },
    minor < 57 && { personality: v.optional(personality) },
    minor >= 19 && { description: v.optional(description) },
    minor >= 52 && { tags: v.optional(v.pipe(v.array(tag), v.maxLength(50), v.check((tags) => new Set(tags).size === tags.length, 'must not repeat'))) },
    minor >= 63 && { trusted_image_certificates: v.optional(certs) },
    minor >= 74 && { host: v.optional(text(255, 1)), hypervisor_hostname: v.optional(text(255, 1)) },
    minor >= 90 && { hostname: v.optional(hostname) },
  )

const hints = v.looseObject({ group: v.optional(uuid), different_host: v.optional(v.union([uuid, v.array(uuid)])), same_host: v.optional(v.union([uuid, v.array(uuid)])) })

export const createServer = (minor: number) =>
  shape<{ server: CreateServer; hints?: Record<string, unknown>; 'os:scheduler_hints'?: Record<string, unknown>; 'OS-SCH-HNT:scheduler_hints'?: Record<string, unknown> }>({
    server: server(minor), 'os:scheduler_hints': v.optional(hints), 'OS-SCH-HNT:scheduler_hints': v.optional(hints),
  })

export interface UpdateServer {
  name?: string
  'OS-DCF:diskConfig'?: string
  accessIPv4?: string
  accessIPv6?: string
  description?: string | null
  hostname?: string
}

export const updateServer = (minor: number) =>
  wrap('server', shape<UpdateServer>({ name: v.optional(name), 'OS-DCF:diskConfig': v.optional(diskConfig), accessIPv4: v.optional(ipv4), accessIPv6: v.optional(ipv6) }, minor >= 19 && { description: v.optional(description) }, minor >= 90 && { hostname: v.optional(hostname) }))

export interface RebuildServer {
  imageRef: string
  name?: string
  adminPass?: string
  metadata?: Record<string, string>
  preserve_ephemeral?: boolean
  'OS-DCF:diskConfig'?: string
  accessIPv4?: string
  accessIPv6?: string
  personality?: unknown
  description?: string | null
  key_name?: string | null
  user_data?: string | null
  trusted_image_certificates?: string[] | null
  hostname?: string
}

export const rebuildServer = (minor: number) =>
  shape<RebuildServer>(
    {
      imageRef: v.pipe(imageRef, v.minLength(1, 'must be the UUID of an image')), name: v.optional(name), adminPass: v.optional(adminPass), metadata: v.optional(metadata), preserve_ephemeral: v.optional(bool), 'OS-DCF:diskConfig': v.optional(diskConfig),
      accessIPv4: v.optional(ipv4), accessIPv6: v.optional(ipv6),
    },
    minor < 57 && { personality: v.optional(personality) },
    minor >= 19 && { description: v.optional(description) },
    minor >= 54 && { key_name: v.optional(keyName) },
    minor >= 57 && { user_data: v.optional(v.nullable(base64)) },
    minor >= 63 && { trusted_image_certificates: v.optional(certs) },
    minor >= 90 && { hostname: v.optional(hostname) },
  )

export const resizeServer = shape<{ flavorRef: string; 'OS-DCF:diskConfig'?: string }>({ flavorRef, 'OS-DCF:diskConfig': v.optional(diskConfig) })
export const metadataBody = wrap('metadata', metadata)
export const metaBody = wrap('meta', metadata)
export const tagsBody = wrap('tags', v.pipe(v.array(tag, 'must be a list'), v.maxLength(50, 'has too many tags: at most 50')))
export { imageRef as imageReference }
