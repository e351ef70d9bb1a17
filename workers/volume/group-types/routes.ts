/** /group_types (3.11 on) and their specs. */
import { looseObject, maxLength, minLength, nullish, object, pipe, record, string } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { GroupTypeRow } from '../../../schema/region/volume.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { isAdmin } from '../locate.ts'
import { type Keys, nextLinks, paged, parsePage, truth } from '../page.ts'
import { both, param } from '../route.ts'
import { flag, name as optionalName, plain } from '../volumes/requests.ts'

const specs = pipe(plain, record(pipe(string(), minLength(1), maxLength(255)), pipe(string(), maxLength(255))))
const createBody = object({ group_type: looseObject({ name: pipe(string(), minLength(1), maxLength(255)), description: optionalName, is_public: nullish(flag), group_specs: nullish(specs) }) })
const updateBody = object({ group_type: looseObject({ name: nullish(pipe(string(), minLength(1), maxLength(255))), description: optionalName, is_public: nullish(flag) }) })
const KEYS: Keys<GroupTypeRow> = { id: (row) => row.id, name: (row) => row.name, created_at: (row) => row.id }
const FROM: [number, null] = [11, null]

const id = (ctx: Context) => param(ctx, 'id')
const types = (ctx: Context) => ctx.region.volume.groupTypes
const view = (ctx: Context, type: GroupTypeRow) => ({ id: type.id, name: type.name, description: type.description, is_public: type.is_public, ...(isAdmin(ctx) ? { group_specs: type.group_specs } : {}) })
const accepted = () => reply({ status: 202 })

async function list(ctx: Context) {
  const asked = ctx.query.get('is_public')
  const is_public = asked === null ? (isAdmin(ctx) ? null : true) : /^none$/i.test(asked) ? null : truth(asked, 'is_public')
  const found = (await types(ctx).list()).filter((type) => (isAdmin(ctx) ? is_public === null || type.is_public === is_public : type.is_public))
  const { rows, more } = paged(found, parsePage(ctx.query, Object.keys(KEYS)), KEYS, (marker) => new Fault('not_found', `Group type ${marker} could not be found.`))
  return { group_types: rows.map((type) => view(ctx, type)), ...nextLinks(ctx.origin, ctx.url, 'group_type', rows, more) }
}

async function oneSpec(ctx: Context): Promise<{ type: GroupTypeRow; key: string }> {
  const type = await types(ctx).find(id(ctx))
  const key = param(ctx, 'key')
  if (!(key in type.group_specs)) throw new Fault('not_found', `Group Type ${type.id} has no specs with key ${key}.`)
  return { type, key }
}

export const routes = [
  ...both({ method: 'GET', path: '/group_types', policy: 'group:group_types:get', versions: FROM, handle: list }),
  ...both({
    method: 'POST',
    path: '/group_types',
    policy: 'group:group_types_manage',
    versions: FROM,
    body: createBody,
    status: 202,
    handle: async (ctx) => {
      const { name, description, is_public, group_specs } = ctx.body.group_type
      return { group_type: view(ctx, await types(ctx).create({ name, description: description ?? null, is_public: is_public ?? true, group_specs: group_specs ?? {} })) }
    },
  }),
  ...both({
    method: 'GET',
    path: '/group_types/default',
    policy: 'group:group_types:get',
    versions: FROM,
    handle: () => {
      throw new Fault('not_found', 'Default group type can not be found.')
    },
  }),
  ...both({ method: 'GET', path: '/group_types/:id', policy: 'group:group_types:get', versions: FROM, handle: async (ctx) => ({ group_type: view(ctx, await types(ctx).find(id(ctx))) }) }),
  ...both({
    method: 'PUT',
    path: '/group_types/:id',
    policy: 'group:group_types_manage',
    versions: FROM,
    body: updateBody,
    handle: async (ctx) => {
      const { name, description, is_public } = ctx.body.group_type
      return { group_type: view(ctx, await types(ctx).update(id(ctx), { ...(name == null ? {} : { name }), ...(description === undefined ? {} : { description }), ...(is_public == null ? {} : { is_public }) })) }
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/group_types/:id',
    policy: 'group:group_types_manage',
    versions: FROM,
    handle: async (ctx) => {
      await types(ctx).delete(id(ctx))
      return accepted()
    },
  }),
  ...both({ method: 'GET', path: '/group_types/:id/group_specs', policy: 'group:group_types_specs', versions: FROM, handle: async (ctx) => ({ group_specs: (await types(ctx).find(id(ctx))).group_specs }) }),
  ...both({
    method: 'POST',
    path: '/group_types/:id/group_specs',
    policy: 'group:group_types_specs',
    versions: FROM,
    body: object({ group_specs: specs }),
    status: 202,
    handle: async (ctx) => {
      const type = await types(ctx).find(id(ctx))
      await types(ctx).update(type.id, { group_specs: { ...type.group_specs, ...ctx.body.group_specs } })
      return { group_specs: ctx.body.group_specs }
    },
  }),
  ...both({
    method: 'GET',
    path: '/group_types/:id/group_specs/:key',
    policy: 'group:group_types_specs',
    versions: FROM,
    handle: async (ctx) => {
      const { type, key } = await oneSpec(ctx)
      return { [key]: type.group_specs[key] }
    },
  }),
  ...both({
    method: 'PUT',
    path: '/group_types/:id/group_specs/:key',
    policy: 'group:group_types_specs',
    versions: FROM,
    body: specs,
    handle: async (ctx) => {
      const type = await types(ctx).find(id(ctx))
      if (!(param(ctx, 'key') in ctx.body) || Object.keys(ctx.body).length !== 1) throw new Fault('bad_request', 'Request body and URI mismatch')
      await types(ctx).update(type.id, { group_specs: { ...type.group_specs, ...ctx.body } })
      return ctx.body
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/group_types/:id/group_specs/:key',
    policy: 'group:group_types_specs',
    versions: FROM,
    handle: async (ctx) => {
      const { type, key } = await oneSpec(ctx)
      await types(ctx).update(type.id, { group_specs: Object.fromEntries(Object.entries(type.group_specs).filter(([name]) => name !== key)) })
      return accepted()
    },
  }),
]
