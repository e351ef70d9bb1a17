/** /v2.0/quotas: an operator's limits for a project, its usage, the defaults. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import { bodiesOf, parsePut } from '../api/attributes.ts'
import { gather } from '../api/gather.ts'
import { integer } from '../api/types.ts'
import { networkQuota } from './spec.ts'

const QUOTA_MAX = 2_147_483_647
const limit = v.pipe(integer(-1, QUOTA_MAX))
const quotaAttributes = Object.fromEntries(Object.keys(networkQuota.defaults).map((name) => [name, { schema: limit }]))

export const quotaPolicies: PolicyRule[] = [
  { name: 'get_quota', check: 'rule:admin_required or (rule:project_reader_or_admin and project_id:%(quota_project_id)s)' },
  { name: 'get_quotas', check: 'rule:admin_required' },
  { name: 'update_quota', check: 'rule:admin_required' },
  { name: 'delete_quota', check: 'rule:admin_required' },
]

const target = (params: Record<string, string>) => ({ quota_project_id: params.project, project_id: params.project, tenant_id: params.project })
const quotas = (ctx: Context) => ctx.projectById(ctx.params.project ?? '').network.quotas

const details = route({
  method: 'GET', path: '/v2.0/quotas/:project/details', policy: 'get_quota', target,
  handle: async (ctx) => {
    const { limits, used } = await quotas(ctx).get()
    return { quota: Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, { limit: value, used: used[name] ?? 0, reserved: 0 }])) }
  },
})

export const quotaRoutes = [
  route({
    method: 'GET', path: '/v2.0/quotas', policy: 'get_quotas',
    handle: async (ctx) => ({ quotas: (await gather(ctx, (project) => project.network.quotas.list())).map(({ row }) => ({ ...row.limits, project_id: row.id, tenant_id: row.id })) }),
  }),
  route({ method: 'GET', path: '/v2.0/quotas/:project', policy: 'get_quota', target, handle: async (ctx) => ({ quota: (await quotas(ctx).get()).limits }) }),
  route({ method: 'GET', path: '/v2.0/quotas/:project/default', policy: 'get_quota', target, handle: async (ctx) => ({ quota: (await quotas(ctx).get()).defaults }) }),
  details,
  { ...details, path: '/v2.0/quotas/:project/details.json' },
  route({
    method: 'PUT', path: '/v2.0/quotas/:project', policy: 'update_quota', body: 'json',
    handle: async (ctx) => {
      const { bodies } = bodiesOf(ctx.body, 'quota', 'quotas', false)
      const { force: _force, ...body } = bodies[0] ?? {}
      const given = parsePut(quotaAttributes, body) as Record<string, number>
      return { quota: (await quotas(ctx).set(given)).limits }
    },
  }),
  route({
    method: 'DELETE', path: '/v2.0/quotas/:project', policy: 'delete_quota',
    handle: async (ctx) => {
      if (!(await quotas(ctx).get()).own) throw new Fault('not_found', `Quota for tenant ${ctx.params.project} could not be found.`, { type: 'TenantQuotaNotFound' })
      await quotas(ctx).reset()
      return reply({ status: 204 })
    },
  }),
]
