/** /qos-specs: named limits that types point at. */
import { any, array, object, objectWithRest, optional, picklist, record, string, pipe, minLength, maxLength } from 'valibot'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { truth } from '../page.ts'
import { basesOf, both, linksOf, param } from '../route.ts'
import { qosView } from '../types/views.ts'
import { Fault } from '../../../schema/values/fault.ts'

const createBody = object({ qos_specs: objectWithRest({ name: pipe(string(), minLength(1), maxLength(255)), consumer: optional(picklist(['front-end', 'back-end', 'both'])) }, any()) })
const setBody = object({ qos_specs: record(string(), any()) })
const keysBody = object({ keys: array(string()) })

const id = (ctx: Context) => param(ctx, 'id')
const types = (ctx: Context) => ctx.region.volume.types
const texts = (specs: Record<string, unknown>): Record<string, string> => Object.fromEntries(Object.entries(specs).map(([key, value]) => [key, String(value)]))
const withLinks = (ctx: Context, qos: Parameters<typeof qosView>[0]) => ({ qos_specs: qosView(qos), links: linksOf(basesOf(ctx), 'qos-specs', qos.id) })
const typeId = (ctx: Context): string => {
  const given = ctx.query.get('vol_type_id')
  if (given === null || given === '') throw new Fault('bad_request', 'Volume Type id must not be None.')
  return given
}
const accepted = () => reply({ status: 202 })

export const routes = [
  ...both({ method: 'GET', path: '/qos-specs', policy: 'volume_extension:qos_specs_manage:get_all', handle: async (ctx) => ({ qos_specs: (await types(ctx).qosList()).map(qosView) }) }),
  ...both({
    method: 'POST',
    path: '/qos-specs',
    policy: 'volume_extension:qos_specs_manage:create',
    body: createBody,
    handle: async (ctx) => {
      const { name, consumer, ...specs } = ctx.body.qos_specs
      return withLinks(ctx, await types(ctx).createQos(name, consumer ?? 'back-end', texts(specs)))
    },
  }),
  ...both({ method: 'GET', path: '/qos-specs/:id', policy: 'volume_extension:qos_specs_manage:get', handle: async (ctx) => withLinks(ctx, await types(ctx).qos(id(ctx))) }),
  ...both({
    method: 'PUT',
    path: '/qos-specs/:id',
    policy: 'volume_extension:qos_specs_manage:update',
    body: setBody,
    handle: async (ctx) => {
      const before = await types(ctx).qos(id(ctx))
      const { consumer, ...specs } = ctx.body.qos_specs
      await types(ctx).updateQos(before.id, { specs: { ...before.specs, ...texts(specs) }, ...(consumer === 'front-end' || consumer === 'back-end' || consumer === 'both' ? { consumer } : {}) })
      return { qos_specs: ctx.body.qos_specs }
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/qos-specs/:id',
    policy: 'volume_extension:qos_specs_manage:delete',
    handle: async (ctx) => {
      await types(ctx).deleteQos(id(ctx), truth(ctx.query.get('force') ?? 'false', 'force'))
      return accepted()
    },
  }),
  ...both({
    method: 'PUT',
    path: '/qos-specs/:id/delete_keys',
    policy: 'volume_extension:qos_specs_manage:delete',
    body: keysBody,
    handle: async (ctx) => {
      const before = await types(ctx).qos(id(ctx))
      const unknown = ctx.body.keys.find((key: string) => !(key in before.specs))
      if (unknown !== undefined) throw new Fault('bad_request', `QoS spec ${before.id} has no spec with key ${unknown}.`)
      await types(ctx).updateQos(before.id, { specs: Object.fromEntries(Object.entries(before.specs).filter(([key]) => !ctx.body.keys.includes(key))) })
      return accepted()
    },
  }),
  ...both({
    method: 'GET',
    path: '/qos-specs/:id/associations',
    policy: 'volume_extension:qos_specs_manage:get',
    handle: async (ctx) => ({ qos_associations: (await types(ctx).qosTypes(id(ctx))).map((type) => ({ association_type: 'volume_type', id: type.id, name: type.name })) }),
  }),
  ...both({
    method: 'GET',
    path: '/qos-specs/:id/associate',
    policy: 'volume_extension:qos_specs_manage:update',
    handle: async (ctx) => {
      await types(ctx).associateQos(id(ctx), typeId(ctx), true)
      return accepted()
    },
  }),
  ...both({
    method: 'GET',
    path: '/qos-specs/:id/disassociate',
    policy: 'volume_extension:qos_specs_manage:update',
    handle: async (ctx) => {
      await types(ctx).associateQos(id(ctx), typeId(ctx), false)
      return accepted()
    },
  }),
  ...both({
    method: 'GET',
    path: '/qos-specs/:id/disassociate_all',
    policy: 'volume_extension:qos_specs_manage:update',
    handle: async (ctx) => {
      await types(ctx).associateQos(id(ctx), 'all', false)
      return accepted()
    },
  }),
]
