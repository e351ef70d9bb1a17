/** Routes of quotas, quota classes and limits, by microversion: network's went at 2.36 (2.50), injected files at 2.57. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import { bool, integer, wrap } from '../common/schemas.ts'
import { decoded } from '../common/texts.ts'
import { computeQuota } from './quota.ts'

const P = 'os_compute_api:'
export const quotaPolicies: PolicyRule[] = [
  { name: `${P}os-quota-sets:show`, check: 'rule:project_reader or role:admin', operations: ['GET /os-quota-sets/{project}'] }, { name: `${P}os-quota-sets:detail`, check: 'rule:project_reader or role:admin', operations: ['GET /os-quota-sets/{project}/detail'] },
  { name: `${P}os-quota-sets:defaults`, check: '@', operations: ['GET /os-quota-sets/{project}/defaults'] }, { name: `${P}os-quota-sets:update`, check: 'rule:admin', operations: ['PUT /os-quota-sets/{project}'] },
  { name: `${P}os-quota-sets:delete`, check: 'rule:admin', operations: ['DELETE /os-quota-sets/{project}'] }, { name: `${P}os-quota-class-sets:show`, check: 'rule:admin', operations: ['GET /os-quota-class-sets/{class}'] },
  { name: `${P}os-quota-class-sets:update`, check: 'rule:admin', operations: ['PUT /os-quota-class-sets/{class}'] }, { name: `${P}limits`, check: '@', operations: ['GET /limits'] },
  { name: `${P}limits:other_project`, check: 'role:admin', operations: ['GET /limits?tenant_id'] },
]

const NETWORK = ['fixed_ips', 'floating_ips', 'security_groups', 'security_group_rules']
const INJECTED = ['injected_files', 'injected_file_content_bytes', 'injected_file_path_bytes']
const ALL = Object.keys(computeQuota.defaults)

export const quotaNames = (minor: number): string[] => ALL.filter((key) => !(minor >= 36 && NETWORK.includes(key)) && !(minor >= 57 && INJECTED.includes(key)))
/** Classes dropped network quotas later, and had no server groups before. */
const classNames = (minor: number): string[] => ALL.filter((key) => !(minor >= 50 && NETWORK.includes(key)) && !(minor >= 57 && INJECTED.includes(key)) && !(minor < 50 && key.startsWith('server_group')))

const pick = (names: readonly string[], values: Record<string, number>): Record<string, number> => Object.fromEntries(names.map((key) => [key, values[key] ?? -1]))

const limit = integer(-1)
const quotaBody = (minor: number) => wrap('quota_set', v.strictObject({ ...(Object.fromEntries(quotaNames(minor).map((key) => [key, v.optional(limit)])) as Record<string, v.OptionalSchema<typeof limit, undefined>>), force: v.optional(bool), tenant_id: v.optional(v.string()) }))
const classBody = (minor: number) => wrap('quota_class_set', v.pipe(v.strictObject(Object.fromEntries(classNames(minor).map((key) => [key, v.optional(limit)])) as Record<string, v.OptionalSchema<typeof limit, undefined>>), v.check((given) => Object.keys(given).length > 0, 'must change something')))

const projectOf = (ctx: Context) => ctx.projectById(decoded(ctx.params.project))
const target = (params: Record<string, string>) => ({ project_id: decoded(params.project) })

async function update(ctx: Context): Promise<unknown> {
  const { force, tenant_id: _tenant, ...limits } = ctx.body.quota_set as Record<string, number | boolean | string | undefined>
  const given = Object.fromEntries(Object.entries(limits).filter((entry): entry is [string, number] => typeof entry[1] === 'number'))
  return { quota_set: pick(quotaNames(ctx.version[1]), await projectOf(ctx).compute.quotas.set(given, force === true, ctx.query.get('user_id'))) }
}

async function limits(ctx: Context): Promise<unknown> {
  const minor = ctx.version[1]
  const tenant = ctx.query.get('tenant_id')
  if (tenant !== null && tenant !== ctx.caller.project_id) ctx.authorize(`${P}limits:other_project`)
  const project = tenant === null ? ctx.project : ctx.projectById(tenant)
  const [{ limits: max, used }, network] = await Promise.all([project.compute.quotas.get(), minor < 36 ? project.compute.quotas.network() : null])
  const of = (from: Record<string, number> | undefined, key: string) => from?.[key] ?? -1
  const absolute: Record<string, number> = {
    maxTotalInstances: of(max, 'instances'), maxTotalCores: of(max, 'cores'), maxTotalRAMSize: of(max, 'ram'), maxTotalKeypairs: of(max, 'key_pairs'), maxServerMeta: of(max, 'metadata_items'), maxServerGroups: of(max, 'server_groups'),
    maxServerGroupMembers: of(max, 'server_group_members'), totalInstancesUsed: used.instances ?? 0, totalCoresUsed: used.cores ?? 0, totalRAMUsed: used.ram ?? 0, totalServerGroupsUsed: used.server_groups ?? 0,
    ...(minor < 36
      ? {
          maxSecurityGroups: of(network?.limits, 'security_group'), maxSecurityGroupRules: of(network?.limits, 'security_group_rule'), maxTotalFloatingIps: of(network?.limits, 'floatingip'),
          totalFloatingIpsUsed: network?.used.floatingip ?? 0, totalSecurityGroupsUsed: network?.used.security_group ?? 0,
        }
      : {}),
    ...(minor < 39 ? { maxImageMeta: of(max, 'metadata_items') } : {}), ...(minor < 57 ? { maxPersonality: of(max, 'injected_files'), maxPersonalitySize: of(max, 'injected_file_content_bytes') } : {}),
  }
  return { limits: { rate: [], absolute } }
}

export const quotaRoutes = [
  route({ method: 'GET', path: '/v2.1/limits', policy: `${P}limits`, handle: limits }),
  route({
    method: 'GET', path: '/v2.1/os-quota-sets/:project', policy: `${P}os-quota-sets:show`, target,
    handle: async (ctx) => ({ quota_set: { id: decoded(ctx.params.project), ...pick(quotaNames(ctx.version[1]), (await projectOf(ctx).compute.quotas.get(ctx.query.get('user_id'))).limits) } }),
  }),
  route({
    method: 'GET', path: '/v2.1/os-quota-sets/:project/detail', policy: `${P}os-quota-sets:detail`, target,
    handle: async (ctx) => {
      const { limits: max, used } = await projectOf(ctx).compute.quotas.get(ctx.query.get('user_id'))
      return { quota_set: { id: decoded(ctx.params.project), ...Object.fromEntries(quotaNames(ctx.version[1]).map((key) => [key, { limit: max[key] ?? -1, in_use: used[key] ?? 0, reserved: 0 }])) } }
    },
  }),
  route({ method: 'GET', path: '/v2.1/os-quota-sets/:project/defaults', policy: `${P}os-quota-sets:defaults`, handle: (ctx) => ({ quota_set: { id: decoded(ctx.params.project), ...pick(quotaNames(ctx.version[1]), computeQuota.defaults) } }) }),
  route({ method: 'PUT', path: '/v2.1/os-quota-sets/:project', policy: `${P}os-quota-sets:update`, body: quotaBody, handle: update }),
  route({
    method: 'DELETE', path: '/v2.1/os-quota-sets/:project', policy: `${P}os-quota-sets:delete`,
    handle: async (ctx) => {
      await projectOf(ctx).compute.quotas.reset(ctx.query.get('user_id'))
      return reply({ status: 202 })
    },
  }),
  route({ method: 'GET', path: '/v2.1/os-quota-class-sets/:class', policy: `${P}os-quota-class-sets:show`, handle: (ctx) => ({ quota_class_set: { id: decoded(ctx.params.class), ...pick(classNames(ctx.version[1]), computeQuota.defaults) } }) }),
  route({
    method: 'PUT', path: '/v2.1/os-quota-class-sets/:class', policy: `${P}os-quota-class-sets:update`, body: classBody,
    handle: (ctx) => {
      const changed = Object.entries(ctx.body.quota_class_set).filter(([key, value]) => value !== undefined && value !== computeQuota.defaults[key])
      if (changed.length > 0) throw new Fault('bad_request', `Default quotas are part of the deployment's configuration; set those of a project instead (${changed.map(([key]) => key).join(', ')}).`)
      return { quota_class_set: pick(classNames(ctx.version[1]), computeQuota.defaults) }
    },
  }),
]
