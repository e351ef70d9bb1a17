/** /types: types, extra specs, access, encryption; /default-types. */
import { any, integer, looseObject, maxLength, minLength, nullish, number, object, optional, picklist, pipe, record, regex, string, trim } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { VolumeTypeRow } from '../../../schema/region/volume.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { isAdmin } from '../locate.ts'
import { type Keys, nextLinks, paged, parseDict, parsePage, truth } from '../page.ts'
import { both, param } from '../route.ts'
import { flag, name as optionalName, plain } from '../volumes/requests.ts'
import { encryptionView, typeView } from './views.ts'

const typeName = pipe(string(), trim(), minLength(1, 'is too short'), maxLength(255))
const specKey = pipe(string(), minLength(1), maxLength(255), regex(/^[a-zA-Z0-9\-_:. ]+$/, 'has characters that a key may not have'))
const specs = pipe(plain, record(specKey, pipe(string(), maxLength(255))))
const createBody = object({ volume_type: looseObject({ name: typeName, description: optionalName, extra_specs: nullish(specs), 'os-volume-type-access:is_public': nullish(flag) }) })
const updateBody = object({ volume_type: looseObject({ name: nullish(string()), description: optionalName, is_public: nullish(flag) }) })
const specsBody = object({ extra_specs: specs })
const encryptionFields = { provider: optional(string()), control_location: optional(picklist(['front-end', 'back-end'])), cipher: nullish(string()), key_size: nullish(pipe(number(), integer())) }
const encryptionBody = object({ encryption: looseObject({ ...encryptionFields, provider: pipe(string(), minLength(1)), control_location: picklist(['front-end', 'back-end']) }) })
const encryptionUpdate = object({ encryption: looseObject(encryptionFields) })
const missing = (id: string) => new Fault('not_found', `Volume type ${id} could not be found.`)
const KEYS: Keys<VolumeTypeRow> = { id: (row) => row.id, name: (row) => row.name, created_at: (row) => row.created_ms, updated_at: (row) => row.created_ms }

const id = (ctx: Context) => param(ctx, 'id')
const types = (ctx: Context) => ctx.region.volume.types
const view = (ctx: Context) => ({ admin: isAdmin(ctx), minor: ctx.version[1] })
const get = (ctx: Context) => types(ctx).get(id(ctx), isAdmin(ctx))

async function list(ctx: Context) {
  const admin = isAdmin(ctx)
  const asked = ctx.query.get('is_public')
  const is_public = asked === null ? (admin ? null : true) : /^none$/i.test(asked) ? null : truth(asked, 'is_public')
  const wanted = parseDict(ctx.query.get('extra_specs') ?? '{}') ?? {}
  const found = (await types(ctx).list(admin && (asked !== null || is_public === null))).filter((type) => (is_public === null || !admin ? true : type.is_public === is_public) && (ctx.query.get('name') ?? type.name) === type.name && Object.entries(wanted).every(([key, value]) => type.extra_specs[key] === value))
  const { rows, more } = paged(found, parsePage(ctx.query, Object.keys(KEYS)), KEYS, missing)
  return { volume_types: rows.map((type) => typeView(type, view(ctx))), ...nextLinks(ctx.origin, ctx.url, 'volume_type', rows, more) }
}

async function update(ctx: Context) {
  const { name, description, is_public } = ctx.body.volume_type
  if (name == null && description == null && is_public == null) throw new Fault('bad_request', 'Specify volume type name, description, is_public or a combination thereof.')
  if (name != null && name.trim() === '') throw new Fault('bad_request', 'Volume type name can not be empty.')
  const change = { ...(name == null ? {} : { name: name.trim() }), ...(description === undefined ? {} : { description }), ...(is_public == null ? {} : { is_public }) }
  return { volume_type: typeView(await types(ctx).update(id(ctx), change), view(ctx)) }
}

async function access(ctx: Context) {
  const [name] = Object.keys(ctx.body)
  const project = ctx.body[name ?? '']?.project
  if ((name !== 'addProjectAccess' && name !== 'removeProjectAccess') || typeof project !== 'string' || project === '') throw new Fault('bad_request', `There is no such action: ${Object.keys(ctx.body).join(', ')}`)
  ctx.authorize(`volume_extension:volume_type_access:${name}`)
  await (name === 'addProjectAccess' ? types(ctx).addAccess(id(ctx), project) : types(ctx).removeAccess(id(ctx), project))
  return reply({ status: 202 })
}

const specRoutes = [
  ...both({ method: 'GET', path: '/types/:id/extra_specs', policy: 'volume_extension:types_extra_specs:index', handle: async (ctx) => ({ extra_specs: typeView(await get(ctx), view(ctx)).extra_specs ?? {} }) }),
  ...both({
    method: 'POST',
    path: '/types/:id/extra_specs',
    policy: 'volume_extension:types_extra_specs:create',
    body: specsBody,
    handle: async (ctx) => {
      const type = await types(ctx).get(id(ctx), true)
      await types(ctx).update(type.id, { extra_specs: { ...type.extra_specs, ...ctx.body.extra_specs } })
      return { extra_specs: ctx.body.extra_specs }
    },
  }),
  ...both({
    method: 'GET',
    path: '/types/:id/extra_specs/:key',
    policy: 'volume_extension:types_extra_specs:show',
    handle: async (ctx) => {
      const { extra_specs } = await get(ctx)
      const key = param(ctx, 'key')
      if (!(key in extra_specs)) throw new Fault('not_found', `Volume Type ${id(ctx)} has no extra specs with key ${key}.`)
      return { [key]: extra_specs[key] }
    },
  }),
  ...both({
    method: 'PUT',
    path: '/types/:id/extra_specs/:key',
    policy: 'volume_extension:types_extra_specs:update',
    body: specs,
    handle: async (ctx) => {
      const key = param(ctx, 'key')
      const type = await types(ctx).get(id(ctx), true)
      if (!(key in ctx.body)) throw new Fault('bad_request', 'Request body and URI mismatch')
      if (Object.keys(ctx.body).length > 1) throw new Fault('bad_request', 'Request body contains too many items')
      await types(ctx).update(type.id, { extra_specs: { ...type.extra_specs, ...ctx.body } })
      return ctx.body
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/types/:id/extra_specs/:key',
    policy: 'volume_extension:types_extra_specs:delete',
    handle: async (ctx) => {
      const key = param(ctx, 'key')
      const type = await types(ctx).get(id(ctx), true)
      if (!(key in type.extra_specs)) throw new Fault('not_found', `Volume Type ${type.id} has no extra specs with key ${key}.`)
      await types(ctx).update(type.id, { extra_specs: Object.fromEntries(Object.entries(type.extra_specs).filter(([name]) => name !== key)) })
      return reply({ status: 202 })
    },
  }),
]

const encryptionRoutes = [
  ...both({ method: 'GET', path: '/types/:id/encryption', policy: 'volume_extension:volume_type_encryption:get', handle: async (ctx) => encryptionView(await types(ctx).get(id(ctx), true)) }),
  ...both({
    method: 'GET',
    path: '/types/:id/encryption/:key',
    policy: 'volume_extension:volume_type_encryption:get',
    handle: async (ctx) => {
      const all = encryptionView(await types(ctx).get(id(ctx), true))
      const key = param(ctx, 'key')
      if (!(key in all)) throw new Fault('not_found', `Volume type encryption for type ${id(ctx)} does not exist.`)
      return { [key]: all[key] }
    },
  }),
  ...both({
    method: 'POST',
    path: '/types/:id/encryption',
    policy: 'volume_extension:volume_type_encryption:create',
    body: encryptionBody,
    handle: async (ctx) => {
      const { provider, control_location, cipher, key_size } = ctx.body.encryption
      const type = await types(ctx).setEncryption(id(ctx), { provider, control_location, cipher: cipher ?? null, key_size: key_size ?? null }, true)
      return { encryption: { volume_type_id: type.id, encryption_id: type.encryption?.encryption_id, provider, control_location, cipher: cipher ?? null, key_size: key_size ?? null } }
    },
  }),
  ...both({
    method: 'PUT',
    path: '/types/:id/encryption/:encryption',
    policy: 'volume_extension:volume_type_encryption:update',
    body: encryptionUpdate,
    handle: async (ctx) => {
      const { encryption } = await types(ctx).get(id(ctx), true)
      if (encryption == null) throw new Fault('not_found', `Volume type encryption for type ${id(ctx)} does not exist.`)
      const { provider, control_location, cipher, key_size } = { ...encryption, ...ctx.body.encryption }
      await types(ctx).setEncryption(id(ctx), { provider, control_location, cipher: cipher ?? null, key_size: key_size ?? null }, false)
      return { encryption: { provider, control_location, cipher, key_size } }
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/types/:id/encryption/:encryption',
    policy: 'volume_extension:volume_type_encryption:delete',
    handle: async (ctx) => {
      await types(ctx).setEncryption(id(ctx), null, false)
      return reply({ status: 202 })
    },
  }),
]

const defaultRoutes = [
  ...both({ method: 'GET', path: '/default-types', policy: 'volume_extension:default_get_all', versions: [62, null], handle: async (ctx) => ({ default_types: await types(ctx).defaultTypes() }) }),
  ...both({
    method: 'GET',
    path: '/default-types/:project',
    policy: 'volume_extension:default_get',
    versions: [62, null],
    handle: async (ctx) => {
      const project_id = param(ctx, 'project')
      const found = (await types(ctx).defaultTypes()).find((entry) => entry.project_id === project_id)
      if (found === undefined) throw new Fault('not_found', `Default type for project ${project_id} not found.`)
      return { default_type: found }
    },
  }),
  ...both({
    method: 'PUT',
    path: '/default-types/:project',
    policy: 'volume_extension:default_set_or_update',
    versions: [62, null],
    body: object({ default_type: object({ volume_type: string() }) }),
    handle: async (ctx) => ({ default_type: { project_id: param(ctx, 'project'), volume_type_id: (await types(ctx).setDefaultType(param(ctx, 'project'), ctx.body.default_type.volume_type))?.id } }),
  }),
  ...both({ method: 'DELETE', path: '/default-types/:project', policy: 'volume_extension:default_unset', versions: [62, null], handle: async (ctx) => void (await types(ctx).setDefaultType(param(ctx, 'project'), null)) }),
]

export const routes = [
  ...both({ method: 'GET', path: '/types', policy: 'volume_extension:type_get_all', handle: list }),
  ...both({
    method: 'POST',
    path: '/types',
    policy: 'volume_extension:type_create',
    body: createBody,
    handle: async (ctx) => {
      const { name, description, extra_specs, 'os-volume-type-access:is_public': is_public } = ctx.body.volume_type
      const { qos_specs_id: _qos, ...shown } = typeView(await types(ctx).create({ name, description: description ?? null, is_public: is_public ?? true, extra_specs: extra_specs ?? {} }), view(ctx))
      return { volume_type: shown }
    },
  }),
  ...both({ method: 'GET', path: '/types/:id', policy: 'volume_extension:type_get', handle: async (ctx) => ({ volume_type: typeView(await get(ctx), view(ctx)) }) }),
  ...both({ method: 'PUT', path: '/types/:id', policy: 'volume_extension:type_update', body: updateBody, handle: async (ctx) => {
    const { volume_type } = await update(ctx)
    const { 'os-volume-type-access:is_public': _access, qos_specs_id: _qos, ...shown } = volume_type
    return { volume_type: shown }
  } }),
  ...both({
    method: 'DELETE',
    path: '/types/:id',
    policy: 'volume_extension:type_delete',
    handle: async (ctx) => {
      await types(ctx).delete(id(ctx))
      return reply({ status: 202 })
    },
  }),
  ...both({ method: 'POST', path: '/types/:id/action', policy: 'volume_extension:type_get', body: record(string(), any()), handle: access }),
  ...both({
    method: 'GET',
    path: '/types/:id/os-volume-type-access',
    policy: 'volume_extension:type_access_list',
    handle: async (ctx) => {
      const type = await types(ctx).get(id(ctx), true)
      if (type.is_public) throw new Fault('not_found', 'Access list not available for public volume types.')
      return { volume_type_access: type.access.map((project_id) => ({ volume_type_id: type.id, project_id })) }
    },
  }),
  ...specRoutes, ...encryptionRoutes, ...defaultRoutes,
]
