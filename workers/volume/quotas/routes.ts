/** /os-quota-sets, /os-quota-class-sets, /limits. */
import { object, pipe, record, string, transform, unknown } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { isAdmin } from '../locate.ts'
import { truth } from '../page.ts'
import { both, param } from '../route.ts'
import { volumeQuota } from '../project.ts'

const LIMIT_MAX = 2 ** 31 - 1
const NAMES = new Set(Object.keys(volumeQuota.defaults))
const setBody = (key: string) => object({ [key]: pipe(record(string(), unknown()), transform((value) => value)) })

/** Known resources, and <resource>_<type>, to integers of -1 or more. */
function limitsOf(given: Record<string, unknown>): Record<string, number> {
  const limits: Record<string, number> = {}
  for (const [name, value] of Object.entries(given)) {
    if (name === 'tenant_id' || name === 'force' || name === 'skip_validation' || name === 'class_name') continue
    if (!NAMES.has(name) && !/^(volumes|gigabytes|snapshots)_.+/.test(name)) throw new Fault('bad_request', `Invalid input for field/attribute ${name}. Bad key(s) in quota set: ${name}`)
    const max = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
    if (typeof max !== 'number' || !Number.isInteger(max) || max < -1 || max > LIMIT_MAX) throw new Fault('bad_request', `Invalid input for field/attribute ${name}. Value: ${String(value)}. It must be an integer from -1 to ${LIMIT_MAX}.`)
    limits[name] = max
  }
  return limits
}

interface Shown {
  limits: Record<string, number>
  usage: Record<string, number>
}

/** Built-in resources and those of every type. */
async function typed(ctx: Context, shown: Shown): Promise<Shown> {
  const limits = { ...shown.limits }
  for (const type of await ctx.region.volume.types.list(true)) for (const resource of ['volumes', 'gigabytes', 'snapshots']) limits[`${resource}_${type.name}`] ??= -1
  return { limits, usage: shown.usage }
}

function target(ctx: Context): string {
  const project = param(ctx, 'project')
  if (project !== ctx.caller.project_id && !isAdmin(ctx)) throw new Fault('forbidden', "Policy doesn't allow volume_extension:quotas:show to be performed.")
  return project
}

async function show(ctx: Context) {
  const project = target(ctx)
  const region = await ctx.region.volume.types.quotaDefaults()
  const { limits, usage } = await typed(ctx, await ctx.projectById(project).volume.quotas.show(region))
  if (!truth(ctx.query.get('usage') ?? 'false', 'usage')) return { quota_set: { id: project, ...limits } }
  return { quota_set: { id: project, ...Object.fromEntries(Object.entries(limits).map(([name, limit]) => [name, { limit, in_use: usage[name] ?? 0, reserved: 0 }])) } }
}

async function update(ctx: Context) {
  const project = param(ctx, 'project')
  const quotas = ctx.projectById(project).volume.quotas
  await quotas.set(limitsOf(ctx.body.quota_set as Record<string, unknown>))
  return { quota_set: (await typed(ctx, await quotas.show(await ctx.region.volume.types.quotaDefaults()))).limits }
}

async function limits(ctx: Context) {
  const project = ctx.at(39) && isAdmin(ctx) ? (ctx.query.get('project_id') ?? ctx.query.get('tenant_id')) : null
  const { limits: max, usage } = await (project === null ? ctx.project : ctx.projectById(project)).volume.quotas.show(await ctx.region.volume.types.quotaDefaults())
  return {
    limits: {
      rate: [],
      absolute: {
        maxTotalVolumes: max.volumes, maxTotalVolumeGigabytes: max.gigabytes, maxTotalSnapshots: max.snapshots, maxTotalBackups: max.backups, maxTotalBackupGigabytes: max.backup_gigabytes, totalVolumesUsed: usage.volumes ?? 0,
        totalGigabytesUsed: usage.gigabytes ?? 0, totalSnapshotsUsed: usage.snapshots ?? 0, totalBackupsUsed: usage.backups ?? 0, totalBackupGigabytesUsed: usage.backup_gigabytes ?? 0,
      },
    },
  }
}

const defaults = async (ctx: Context) => (await typed(ctx, { limits: { ...volumeQuota.defaults, ...(await ctx.region.volume.types.quotaDefaults()) }, usage: {} })).limits

export const routes = [
  ...both({ method: 'GET', path: '/limits', policy: 'limits_extension:used_limits', handle: limits }),
  ...both({ method: 'GET', path: '/os-quota-sets/:project', policy: 'volume_extension:quotas:show', handle: show }),
  ...both({ method: 'GET', path: '/os-quota-sets/:project/defaults', policy: 'volume_extension:quotas:show', handle: async (ctx) => ({ quota_set: { id: target(ctx), ...(await defaults(ctx)) } }) }),
  ...both({ method: 'PUT', path: '/os-quota-sets/:project', policy: 'volume_extension:quotas:update', body: setBody('quota_set'), handle: update }),
  ...both({
    method: 'DELETE',
    path: '/os-quota-sets/:project',
    policy: 'volume_extension:quotas:delete',
    handle: async (ctx) => {
      await ctx.projectById(param(ctx, 'project')).volume.quotas.reset()
      return reply({ status: 200 })
    },
  }),
  ...both({ method: 'GET', path: '/os-quota-class-sets/:name', policy: 'volume_extension:quota_classes:get', handle: async (ctx) => ({ quota_class_set: { id: param(ctx, 'name'), ...(await defaults(ctx)) } }) }),
  ...both({
    method: 'PUT',
    path: '/os-quota-class-sets/:name',
    policy: 'volume_extension:quota_classes:update',
    body: setBody('quota_class_set'),
    handle: async (ctx) => {
      if (param(ctx, 'name') !== 'default') throw new Fault('bad_request', 'There is one quota class: default.')
      await ctx.region.volume.types.setQuotaDefaults(limitsOf(ctx.body.quota_class_set as Record<string, unknown>))
      return { quota_class_set: await defaults(ctx) }
    },
  }),
]
