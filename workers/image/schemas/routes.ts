/** JSON schemas of the API's own answers; clients read enums and read-only flags here. */
import { Fault } from '../../../schema/values/fault.ts'
import { route } from '../../http/route.ts'
import { CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES } from '../images/requests.ts'

const UUID = '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'
const readOnly = (type: string | string[], description: string, more: object = {}) => ({ type, readOnly: true, description, ...more })
const orNull = ['null', 'string']
const SELF_LINKS = [{ href: '{self}', rel: 'self' }, { href: '{schema}', rel: 'describedby' }]

const image = {
  name: 'image',
  properties: {
    id: { type: 'string', description: 'An identifier for the image', pattern: UUID },
    name: { type: orNull, description: 'Descriptive name for the image', maxLength: 255 },
    status: readOnly('string', 'Status of the image', { enum: ['queued', 'saving', 'active', 'killed', 'deleted', 'uploading', 'importing', 'pending_delete', 'deactivated'] }),
    visibility: { type: 'string', description: 'Scope of image accessibility', enum: VISIBILITIES },
    protected: { type: 'boolean', description: 'If true, image will not be deletable.' },
    os_hidden: { type: 'boolean', description: 'If true, image will not appear in default image list response.' },
    checksum: readOnly(orNull, 'md5 hash of image contents.', { maxLength: 32 }),
    os_hash_algo: readOnly(orNull, 'Algorithm to calculate the os_hash_value', { maxLength: 64 }),
    os_hash_value: readOnly(orNull, 'Hexdigest of the image contents using the algorithm specified by the os_hash_algo', { maxLength: 128 }),
    owner: { type: orNull, description: 'Owner of the image', maxLength: 255 },
    size: readOnly(['null', 'integer'], 'Size of image file in bytes'),
    virtual_size: readOnly(['null', 'integer'], 'Virtual size of image in bytes'),
    container_format: { type: orNull, description: 'Format of the container', enum: [null, ...CONTAINER_FORMATS] },
    disk_format: { type: orNull, description: 'Format of the disk', enum: [null, ...DISK_FORMATS] },
    created_at: readOnly('string', 'Date and time of image registration'),
    updated_at: readOnly('string', 'Date and time of the last image modification'),
    tags: { type: 'array', description: 'List of strings related to the image', items: { type: 'string', maxLength: 255 } },
    self: readOnly('string', 'An image self url'),
    file: readOnly('string', 'An image file url'),
    stores: readOnly('string', 'Store in which image data resides. May be a comma separated list.'),
    schema: readOnly('string', 'An image schema url'),
    min_ram: { type: 'integer', description: 'Amount of ram (in MB) required to boot image.' },
    min_disk: { type: 'integer', description: 'Amount of disk space (in GB) required to boot image.' },
    architecture: { type: 'string', is_base: false, description: 'Operating system architecture as specified in https://docs.openstack.org/python-glanceclient/latest/cli/property-keys.html' },
    kernel_id: { type: orNull, is_base: false, pattern: UUID, description: 'ID of image stored in Glance that should be used as the kernel when booting an AMI-style image.' },
    ramdisk_id: { type: orNull, is_base: false, pattern: UUID, description: 'ID of image stored in Glance that should be used as the ramdisk when booting an AMI-style image.' },
    os_distro: { type: 'string', is_base: false, description: 'Common name of operating system distribution' },
    os_version: { type: 'string', is_base: false, description: 'Operating system version as specified by the distributor.' },
    instance_uuid: { type: 'string', is_base: false, description: 'Metadata which can be used to record which instance this image is associated with.' },
  },
  additionalProperties: { type: 'string' },
  links: [{ href: '{self}', rel: 'self' }, { href: '{file}', rel: 'enclosure' }, { href: '{schema}', rel: 'describedby' }],
}

const member = {
  name: 'member',
  properties: {
    created_at: readOnly('string', 'Date and time of image member creation'), updated_at: readOnly('string', 'Date and time of last modification of image member'),
    image_id: { type: 'string', description: 'An identifier for the image', pattern: UUID }, member_id: { type: 'string', description: 'An identifier for the image member (tenantId)' },
    status: { type: 'string', description: 'The status of this image member', enum: ['pending', 'accepted', 'rejected'] }, schema: readOnly('string', 'The schema of this member'),
  },
}

const task = {
  name: 'task',
  properties: {
    id: { type: 'string', description: 'An identifier for the task', pattern: UUID }, type: { type: 'string', description: 'The type of task represented by this content', enum: ['api_image_import'] },
    status: { type: 'string', description: 'The current status of this task', enum: ['pending', 'processing', 'success', 'failure'] }, input: { type: ['null', 'object'] }, result: { type: ['null', 'object'] }, owner: { type: 'string' }, message: { type: 'string' },
    expires_at: { type: ['null', 'string'] }, created_at: { type: 'string' }, updated_at: { type: 'string' }, self: readOnly('string', 'A task self url'), schema: readOnly('string', 'A task schema url'),
  },
}

/** A list of `item`, with its pages. */
const listOf = (name: string, item: object, paged: boolean) => ({
  name,
  properties: { [name]: { type: 'array', items: item }, schema: { type: 'string' }, ...(paged ? { first: { type: 'string' }, next: { type: 'string' } } : {}) },
  links: [...(paged ? [{ href: '{first}', rel: 'first' }, { href: '{next}', rel: 'next' }] : []), ...SELF_LINKS],
})

export const SCHEMAS: Record<string, object> = { image, images: listOf('images', image, true), member, members: listOf('members', member, false), task, tasks: listOf('tasks', task, true) }

const text = (description: string) => ({ type: 'string', description })
const stamps = { created_at: readOnly('string', 'Date and time of creation'), updated_at: readOnly('string', 'Date and time of the last modification'), self: { type: 'string' }, schema: { type: 'string' } }
const property = {
  name: 'property',
  properties: { name: text('The name of the property'), title: text('Its title'), description: text('What it means'), type: { type: 'string', enum: ['array', 'boolean', 'integer', 'number', 'object', 'string', null] }, operators: { type: 'array' }, enum: { type: 'array' }, default: {}, minimum: { type: 'number' }, maximum: { type: 'number' }, readonly: { type: 'boolean' } },
  required: ['name', 'type', 'title'],
}
const object = { name: 'object', properties: { name: text('The name of the object'), description: text('What it means'), required: { type: 'array' }, properties: { type: 'object' }, ...stamps }, required: ['name'] }
const tag = { name: 'tag', properties: { name: { ...text('The name of the tag'), maxLength: 80 }, ...stamps }, required: ['name'] }
const resourceType = { name: 'resource_type_association', properties: { name: { ...text('Resource type, named as in Heat'), maxLength: 80 }, prefix: text('Prefix of properties on this resource type'), properties_target: text('Where properties go where there are several places'), ...stamps }, required: ['name'] }
const namespace = {
  name: 'namespace',
  properties: {
    namespace: { ...text('The unique namespace text.'), maxLength: 80 }, display_name: { ...text('The user friendly name for the namespace.'), maxLength: 80 }, description: text('A user friendly description of the namespace.'),
    visibility: { type: 'string', enum: ['public', 'private'] }, protected: { type: 'boolean' }, owner: text('Owner of the namespace.'), resource_type_associations: { type: 'array' }, properties: { type: 'object' }, objects: { type: 'array' }, tags: { type: 'array' }, ...stamps,
  },
  required: ['namespace'],
}

export const METADEF_SCHEMAS: Record<string, object> = {
  namespace, namespaces: listOf('namespaces', namespace, true), object, objects: listOf('objects', object, true), property, properties: listOf('properties', property, false), tag, tags: listOf('tags', tag, true), resource_type: resourceType,
  resource_types: { ...listOf('resource_type_associations', resourceType, false), name: 'resource_type_associations' },
}

const schemaIn = (all: Record<string, object>, name: string): object => {
  const schema = all[name]
  if (schema === undefined) throw new Fault('not_found', `There is no schema named ${name}.`)
  return schema
}

export const routes = [
  route({ method: 'GET', path: '/v2/schemas/metadefs/:name', policy: 'token', handle: (ctx) => schemaIn(METADEF_SCHEMAS, ctx.params.name ?? '') }),
  route({ method: 'GET', path: '/v2/schemas/:name', policy: 'token', handle: (ctx) => schemaIn(SCHEMAS, ctx.params.name ?? '') }),
]
