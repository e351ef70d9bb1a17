/** Bodies of image requests: what a client may set, and what upstream refuses by name (glance/api/v2/images.py: RequestDeserializer). Pure. */
import { boolean, integer, maxLength, maxValue, minValue, nullish, number, objectWithRest, optional, picklist, pipe, regex, string, array } from 'valibot'
import type { Visibility } from '../../../schema/project/image.ts'
import { Fault } from '../../../schema/values/fault.ts'

export const CONTAINER_FORMATS = ['bare', 'ami', 'ari', 'aki', 'ovf', 'ova', 'docker', 'compressed'] as const
/** Those whose bytes are the disk (or no disk at all) first, then those with a header that is inspected. */
export const DISK_FORMATS = ['raw', 'ami', 'ari', 'aki', 'ploop', 'root-tar', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx', 'iso'] as const
export const VISIBILITIES = ['public', 'community', 'shared', 'private'] as const satisfies Visibility[]

/** Shown but never set by clients. */
const READ_ONLY = new Set(['created_at', 'updated_at', 'status', 'checksum', 'size', 'virtual_size', 'direct_url', 'self', 'file', 'schema', 'id', 'os_hash_algo', 'os_hash_value', 'stores'])
const RESERVED = new Set(['is_public', 'location', 'deleted', 'deleted_at'])
export const BASE_ATTRIBUTES = new Set(['name', 'visibility', 'min_disk', 'min_ram', 'tags', 'protected', 'container_format', 'disk_format', 'os_hidden', 'owner'])

export const PROPERTIES_MAX = 128
export const TAGS_MAX = 128
export const MEMBERS_MAX = 128
const INT_MAX = 2 ** 31 - 1

const tag = pipe(string(), maxLength(255))
const count = pipe(number('is not of type integer'), integer(), minValue(0), maxValue(INT_MAX))
const fields = {
  name: nullish(pipe(string(), maxLength(255))),
  visibility: optional(picklist(VISIBILITIES)),
  protected: optional(boolean('is not of type boolean')),
  os_hidden: optional(boolean('is not of type boolean')),
  container_format: nullish(picklist(CONTAINER_FORMATS)),
  disk_format: nullish(picklist(DISK_FORMATS)),
  min_disk: optional(count),
  min_ram: optional(count),
  tags: optional(array(tag)),
  owner: nullish(pipe(string(), maxLength(255))),
}

export const createBody = objectWithRest({ ...fields, id: optional(pipe(string(), regex(/^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$/, 'does not look like a UUID'))) }, string('is not of type string'))
/** One attribute of a PATCH, checked as in a create. */
export const patchBody = objectWithRest(fields, string('is not of type string'))

/** 403 for what is not the client's to write, before the schema is asked (an unknown status is read-only, not malformed). */
export function refuseAttributes(names: Iterable<string>, options: { creating: boolean }): void {
  for (const name of names) {
    if (name === 'id' && options.creating) continue
    if (READ_ONLY.has(name)) throw new Fault('forbidden', `Attribute '${name}' is read-only.`)
    if (RESERVED.has(name) || name.startsWith('os_glance_')) throw new Fault('forbidden', `Attribute '${name}' is reserved.`)
    if (name === 'locations') throw new Fault('forbidden', "It's not allowed to update locations if locations are invisible.")
  }
}

export const customProperties = (body: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !BASE_ATTRIBUTES.has(name) && name !== 'id')) as Record<string, string>

export function checkQuotas(properties: Record<string, string>, tags: readonly string[]): void {
  const count = Object.keys(properties).length
  if (count > PROPERTIES_MAX) throw new Fault('too_large', `The limit has been exceeded on the number of allowed image properties. Attempted: ${count}, Maximum: ${PROPERTIES_MAX}`)
  if (tags.length > TAGS_MAX) throw new Fault('too_large', `The limit has been exceeded on the number of allowed image tags. Attempted: ${tags.length}, Maximum: ${TAGS_MAX}`)
  for (const name of Object.keys(properties)) if (name.length > 255) throw new Fault('bad_request', `Property names can't be over 255 chars.`)
}
