/** Usage reports by project (os-simple-tenant-usage): hours of memory, vCPUs and disk in a period, from the rows of servers. */
import { Fault } from '../../../schema/values/fault.ts'
import { isoMicrosNoZone } from '../../../schema/values/time.ts'
import type { ServerRow } from '../../../schema/project/compute.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { route } from '../../http/route.ts'
import { decoded } from '../common/texts.ts'

const P = 'os_compute_api:os-simple-tenant-usage'
export const usagePolicies: PolicyRule[] = [
  { name: `${P}:show`, check: 'rule:project_reader or role:admin', operations: ['GET /os-simple-tenant-usage/{project}'] }, { name: `${P}:list`, check: 'rule:admin', operations: ['GET /os-simple-tenant-usage'] },
  { name: 'os_compute_api:os-instance-usage-audit-log:list', check: 'rule:admin', operations: ['GET /os-instance_usage_audit_log'] }, { name: 'os_compute_api:os-instance-usage-audit-log:show', check: 'rule:admin', operations: ['GET /os-instance_usage_audit_log/{before}'] },
]

const HOUR_MS = 3_600_000
const PERIOD_MS = 28 * 24 * HOUR_MS

export interface Period {
  start_ms: number
  stop_ms: number
}

function parseTime(text: string | null, fallback: number): number {
  if (text === null) return fallback
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d+)?)?$/.test(text)) throw new Fault('bad_request', `Datetime is in invalid format: ${text}`)
  const at = Date.parse(`${text.replace(' ', 'T')}${text.length > 10 ? 'Z' : ''}`)
  if (Number.isNaN(at)) throw new Fault('bad_request', `Datetime is in invalid format: ${text}`)
  return at
}

function periodOf(ctx: Context): Period {
  const stop_ms = parseTime(ctx.query.get('end'), ctx.now_ms)
  const start_ms = parseTime(ctx.query.get('start'), stop_ms - PERIOD_MS)
  if (start_ms >= stop_ms) throw new Fault('bad_request', 'Invalid start time. The start time cannot occur after the end time.')
  return { start_ms, stop_ms }
}

/** Pure: the rows of one project in a period; null where it used nothing. */
export function usageOf(projectId: string, rows: readonly ServerRow[], period: Period, now_ms: number, detailed: boolean) {
  const used = rows.filter((row) => row.launched_ms !== null && row.launched_ms < period.stop_ms && (row.terminated_ms === null || row.terminated_ms > period.start_ms))
  if (used.length === 0) return null
  const servers = used.map((row) => {
    const began = row.launched_ms ?? row.created_ms
    const ended = row.terminated_ms ?? null
    const hours = Math.max(0, Math.min(ended ?? now_ms, period.stop_ms) - Math.max(began, period.start_ms)) / HOUR_MS
    return {
      instance_id: row.id, name: row.name, tenant_id: projectId, flavor: row.flavor.name, state: row.deleted ? 'terminated' : row.vm_state, memory_mb: row.ram_mib, vcpus: row.vcpus, local_gb: row.flavor.disk_gib + row.flavor.ephemeral_gib, hours,
      started_at: isoMicrosNoZone(began), ended_at: ended === null ? null : isoMicrosNoZone(ended), uptime: Math.floor(((ended ?? now_ms) - began) / 1000),
    }
  })
  const sum = (pick: (server: (typeof servers)[number]) => number) => servers.reduce((total, server) => total + pick(server), 0)
  return {
    tenant_id: projectId, start: isoMicrosNoZone(period.start_ms), stop: isoMicrosNoZone(period.stop_ms), total_hours: sum((server) => server.hours), total_memory_mb_usage: sum((server) => server.hours * server.memory_mb),
    total_vcpus_usage: sum((server) => server.hours * server.vcpus), total_local_gb_usage: sum((server) => server.hours * server.local_gb), ...(detailed ? { server_usages: servers } : {}),
  }
}

export const usageRoutes = [
  route({
    method: 'GET', path: '/v2.1/os-simple-tenant-usage', policy: `${P}:list`,
    handle: async (ctx) => {
      const period = periodOf(ctx)
      const projects = await ctx.region.directory.projects()
      const all = await Promise.all(projects.map(async (id) => usageOf(id, await ctx.projectById(id).compute.servers.all(), period, ctx.now_ms, ctx.query.get('detailed') === '1')))
      return { tenant_usages: all.filter((usage) => usage !== null) }
    },
  }),
  route({
    method: 'GET', path: '/v2.1/os-simple-tenant-usage/:project', policy: `${P}:show`, target: (params) => ({ project_id: decoded(params.project) }),
    handle: async (ctx) => {
      const id = decoded(ctx.params.project)
      return { tenant_usage: usageOf(id, await ctx.projectById(id).compute.servers.all(), periodOf(ctx), ctx.now_ms, true) ?? {} }
    },
  }),
]
