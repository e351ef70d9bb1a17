/** Audit log of usage (os-instance_usage_audit_log): which hosts have been gone through in a period. Usage here is read from the rows themselves, so all are done. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { route } from '../../http/route.ts'
import { decoded } from '../common/texts.ts'

const P = 'os_compute_api:os-instance-usage-audit-log'
const spaced = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
const DAY_MS = 86_400_000

/** The month before the one that `at` is in. */
function period(at_ms: number): { period_beginning: string; period_ending: string } {
  const at = new Date(at_ms)
  return { period_beginning: spaced(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - 1, 1)), period_ending: spaced(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1)) }
}

async function log(ctx: Context, before_ms: number) {
  const hosts = await ctx.region.compute.hosts.list()
  const lines = Object.fromEntries(hosts.map((host) => [host.name, { state: 'DONE', instances: host.server_ids.length, errors: 0, message: `${host.server_ids.length} instances, read from their records` }]))
  return {
    log: lines, hosts_not_run: [], num_hosts: hosts.length, num_hosts_done: hosts.length, num_hosts_not_run: 0, num_hosts_running: 0, overall_status: `ALL hosts done. 0 errors.`, ...period(before_ms), total_errors: 0,
    total_instances: hosts.reduce((sum, host) => sum + host.server_ids.length, 0),
  }
}

export const auditRoutes = [
  route({ method: 'GET', path: '/v2.1/os-instance_usage_audit_log', policy: `${P}:list`, handle: async (ctx) => ({ instance_usage_audit_logs: await log(ctx, ctx.now_ms + DAY_MS) }) }),
  route({
    method: 'GET', path: '/v2.1/os-instance_usage_audit_log/:before', policy: `${P}:show`,
    handle: async (ctx) => {
      const text = decoded(ctx.params.before)
      const at = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$/.test(text) ? Date.parse(`${text.replace(' ', 'T')}Z`) : Number.NaN
      if (Number.isNaN(at)) throw new Fault('bad_request', `Invalid timestamp for date ${text}`)
      return { instance_usage_audit_log: await log(ctx, at) }
    },
  }),
]
