/** Routes of host aggregates. */
import * as v from 'valibot'
import { isoMicrosNoZone } from '../../../schema/values/time.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import { name, text, wrap } from '../common/schemas.ts'
import { decoded } from '../common/texts.ts'
import type { Aggregate } from './store.ts'

const zone = v.nullable(v.pipe(name, v.check((value) => !value.includes(':'), 'must not contain a colon')))
const createBody = wrap('aggregate', v.strictObject({ name, availability_zone: v.optional(zone) }))
const updateBody = wrap('aggregate', v.pipe(v.strictObject({ name: v.optional(name), availability_zone: v.optional(zone) }), v.check((given) => Object.keys(given).length > 0, 'must change something')))
const hostname = v.pipe(text(255, 1), v.regex(/^[a-zA-Z0-9-._]*$/, 'must be a host name'))
const actionBody = v.union(
  [
    wrap('add_host', v.strictObject({ host: hostname })), wrap('remove_host', v.strictObject({ host: hostname })),
    wrap('set_metadata', v.strictObject({ metadata: v.record(v.pipe(v.string(), v.regex(/^[a-zA-Z0-9-_:. ]{1,255}$/)), v.nullable(text(255))) })),
  ],
  'must be add_host, remove_host or set_metadata',
)

function view(minor: number, row: Aggregate, brief = false) {
  return {
    aggregate: {
      id: row.id, name: row.name, availability_zone: row.availability_zone, created_at: isoMicrosNoZone(row.created_ms), updated_at: row.updated_ms === null ? null : isoMicrosNoZone(row.updated_ms), deleted: false, deleted_at: null,
      ...(minor >= 41 ? { uuid: row.uuid } : {}), ...(brief ? {} : { hosts: row.hosts, metadata: row.metadata }),
    },
  }
}

const P = 'os_compute_api:os-aggregates'
export const aggregatePolicies: PolicyRule[] = [
  { name: `${P}:index`, check: 'rule:admin', operations: ['GET /os-aggregates'] }, { name: `${P}:show`, check: 'rule:admin', operations: ['GET /os-aggregates/{id}'] },
  { name: `${P}:create`, check: 'rule:admin', operations: ['POST /os-aggregates'] }, { name: `${P}:update`, check: 'rule:admin', operations: ['PUT /os-aggregates/{id}'] },
  { name: `${P}:delete`, check: 'rule:admin', operations: ['DELETE /os-aggregates/{id}'] }, { name: `${P}:add_host`, check: 'rule:admin', operations: ['POST /os-aggregates/{id}/action (add_host)'] },
  { name: `${P}:remove_host`, check: 'rule:admin', operations: ['POST /os-aggregates/{id}/action (remove_host)'] }, { name: `${P}:set_metadata`, check: 'rule:admin', operations: ['POST /os-aggregates/{id}/action (set_metadata)'] },
]

const act = async (ctx: Context<v.InferOutput<typeof actionBody>>): Promise<Aggregate> => {
  const id = decoded(ctx.params.id)
  const { aggregates } = ctx.region.compute
  if ('add_host' in ctx.body) {
    ctx.authorize(`${P}:add_host`)
    return aggregates.addHost(id, ctx.body.add_host.host)
  }
  if ('remove_host' in ctx.body) {
    ctx.authorize(`${P}:remove_host`)
    return aggregates.removeHost(id, ctx.body.remove_host.host)
  }
  ctx.authorize(`${P}:set_metadata`)
  return aggregates.setMetadata(id, ctx.body.set_metadata.metadata)
}

export const aggregateRoutes = [
  route({ method: 'GET', path: '/v2.1/os-aggregates', policy: `${P}:index`, handle: async (ctx) => ({ aggregates: (await ctx.region.compute.aggregates.list()).map((row) => view(ctx.version[1], row).aggregate) }) }),
  route({ method: 'POST', path: '/v2.1/os-aggregates', policy: `${P}:create`, body: createBody, handle: async (ctx) => view(ctx.version[1], await ctx.region.compute.aggregates.create(ctx.body.aggregate.name, ctx.body.aggregate.availability_zone ?? null), true) }),
  route({ method: 'GET', path: '/v2.1/os-aggregates/:id', policy: `${P}:show`, handle: async (ctx) => view(ctx.version[1], await ctx.region.compute.aggregates.get(decoded(ctx.params.id))) }),
  route({ method: 'PUT', path: '/v2.1/os-aggregates/:id', policy: `${P}:update`, body: updateBody, handle: async (ctx) => view(ctx.version[1], await ctx.region.compute.aggregates.update(decoded(ctx.params.id), ctx.body.aggregate)) }),
  route({ method: 'DELETE', path: '/v2.1/os-aggregates/:id', policy: `${P}:delete`, handle: (ctx) => ctx.region.compute.aggregates.delete(decoded(ctx.params.id)).then(() => reply({ status: 200 })) }),
  route({ method: 'POST', path: '/v2.1/os-aggregates/:id/action', policy: 'token', body: actionBody, handle: async (ctx) => view(ctx.version[1], await act(ctx)) }),
]
