/** How routes reach a server: the caller's own project first, another's only where the rule lets admins; and what of a server the caller may see. */
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import type { ProjectSession } from '../../../durable-objects/project/session.ts'
import { isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { decoded } from '../common/texts.ts'
import type { ComputeHost } from '../hosts/store.ts'
import type { ServerRecord } from './record.ts'
import { serverMissing } from './faults.ts'
import type { ServerSight } from './views.ts'

export type Project = Remote<ProjectSession>

/** Runs on the project that owns the server of this path. */
export async function onServer<T>(ctx: Context, rule: string, work: (project: Project, id: string) => Promise<T>): Promise<T> {
  const id = decoded(ctx.params.id)
  ctx.authorize(rule)
  let missing = true
  try {
    return await ctx.onOwner(id, rule, async (project) => {
      try {
        return await work(project, id)
      } catch (error) {
        if (!isFault(error, 'not_found') || error.type !== 'InstanceNotFound') missing = false
        throw error
      }
    })
  } catch (error) {
    throw isFault(error, 'not_found') && missing ? serverMissing(id) : error
  }
}

/** Locks do not stop admins. */
export const acting = (ctx: Context) => ({ locked_override: ctx.allows('admin') })

const STATUS = (host: ComputeHost): string => (host.forced_down ? 'DOWN' : host.disabled ? 'MAINTENANCE' : host.up ? 'UP' : 'UNKNOWN')

export async function sightOf(ctx: Context): Promise<ServerSight> {
  const minor = ctx.version[1]
  let host_status: ServerSight['host_status'] = null
  if (minor >= 16 && ctx.allows('os_compute_api:servers:show:host_status')) {
    const hosts = new Map((await ctx.region.compute.hosts.list()).map((host) => [host.id, host]))
    host_status = (record: ServerRecord) => {
      const host = record.host_id === null ? undefined : hosts.get(record.host_id)
      return host === undefined ? '' : STATUS(host)
    }
  }
  return {
    origin: ctx.origin, minor, attributes: ctx.allows('os_compute_api:os-extended-server-attributes'), host_status, extra_specs: ctx.allows('os_compute_api:os-flavor-extra-specs:index'), details: ctx.allows('admin'),
  }
}
