/** Routes of servers: collection, one server, actions. */
import type { GenericSchema } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, route, validate } from '../../http/route.ts'
import { linksOf, nextLink } from '../common/links.ts'
import { slice } from '../common/query.ts'
import { acting, onServer, sightOf } from './access.ts'
import { SERVER_ACTIONS } from './actions.ts'
import { sortServers } from './listing.ts'
import { abandonAll } from './networks.ts'
import { prepareServers } from './prepare.ts'
import { type ParsedList, listQuery } from './queries.ts'
import type { ServerRecord } from './record.ts'
import { createServer, updateServer } from './requests.ts'
import { briefServer, changedServer, fullServer } from './views.ts'
import type { ServerRow } from '../../../schema/project/compute.ts'

const P = 'os_compute_api:'
const ALL = { limit: Number.MAX_SAFE_INTEGER, marker: null }
/** Projects asked at a time in a listing over all tenants. */
const PROJECTS_AT_ONCE = 20

/** Every tenant's servers, for admins: merged, sorted and cut here. */
async function acrossProjects(ctx: Context, query: ParsedList): Promise<{ records: ServerRecord[]; next: string | null }> {
  const projects = query.project_id === null ? await ctx.region.directory.projects() : [query.project_id]
  const records: ServerRecord[] = []
  const { all_tenants: _all, project_id: _project, ...list } = query
  for (let i = 0; i < projects.length; i += PROJECTS_AT_ONCE) {
    const batch = await Promise.all(projects.slice(i, i + PROJECTS_AT_ONCE).map((id) => ctx.projectById(id).compute.servers.list({ ...list, ...ALL })))
    for (const part of batch) records.push(...part.records)
  }
  const page = slice(sortServers(records as (ServerRecord & ServerRow)[], query.sorts), query.limit, query.marker, (record) => record.id)
  if (page === null) throw new Fault('bad_request', `marker [${query.marker}] not found`)
  return { records: page.rows, next: page.next }
}

/** Statuses that exist nowhere give an empty list without a look. */
const list = (detail: boolean) => async (ctx: Context) => {
  const query = listQuery(ctx, detail)
  const wide = query.all_tenants || (query.project_id !== null && query.project_id !== ctx.caller.project_id && query.all_tenants)
  const { all_tenants: _all, project_id: _project, ...own } = query
  const sight = await sightOf(ctx)
  const body = (servers: unknown[], next: string | null) => {
    const links = nextLink(ctx.origin, ctx.url, next)
    return { servers, ...(links === null ? {} : { servers_links: links }) }
  }
  if (!detail && !wide) {
    const { records, next } = await ctx.project.compute.servers.listBrief(own)
    return body(records.map((record) => briefServer(sight, record)), next)
  }
  const { records, next } = wide ? await acrossProjects(ctx, query) : await ctx.project.compute.servers.list(own)
  return body(records.map((record) => (detail ? fullServer(sight, record, true) : briefServer(sight, record))), next)
}

async function runAction(ctx: Context) {
  const body = ctx.body as Record<string, unknown>
  const keys = body !== null && typeof body === 'object' && !Array.isArray(body) ? Object.keys(body) : []
  const [key] = keys
  if (key === undefined || keys.length !== 1) throw new Fault('bad_request', keys.length > 1 ? 'The request body must have exactly one action.' : 'Malformed request body: an action is required.')
  const action = SERVER_ACTIONS[key]
  const [from, to] = action?.versions ?? [1, null]
  if (action === undefined || ctx.version[1] < from || (to !== null && ctx.version[1] > to)) throw new Fault(action === undefined ? 'bad_request' : 'not_found', `There is no such action: ${key}`)
  const parsed = validate(action.schema(ctx.version[1]) as GenericSchema, body[key])
  const result = await onServer(ctx, action.policy, (project, id) => action.run(ctx, project, id, parsed))
  return reply(result ?? { status: 202 })
}

export const serverRoutes = [
  route({ method: 'GET', path: '/v2.1/servers', policy: `${P}servers:index`, handle: list(false) }),
  route({ method: 'GET', path: '/v2.1/servers/detail', policy: `${P}servers:detail`, handle: list(true) }),
  route({
    method: 'POST', path: '/v2.1/servers', policy: `${P}servers:create`, body: createServer,
    handle: async (ctx) => {
      const given = ctx.body.server
      const spec = await prepareServers(ctx, given, ctx.body['os:scheduler_hints'] ?? ctx.body['OS-SCH-HNT:scheduler_hints'] ?? {})
      const made = await ctx.project.compute.servers.create(spec).catch(async (error: unknown) => {
        await abandonAll(ctx, spec.networks)
        throw error
      })
      if (given.return_reservation_id === true) return reply({ status: 202, body: { reservation_id: made.reservation_id } })
      const id = made.ids[0] ?? ''
      return reply({
        status: 202, headers: { location: `${ctx.origin}/compute/v2.1/servers/${id}` },
        body: {
          server: { id, links: linksOf(ctx.origin, 'servers', id), 'OS-DCF:diskConfig': spec.disk_config, security_groups: (spec.security_groups ?? ['default']).map((name) => ({ name })), adminPass: made.admin_pass },
        },
      })
    },
  }),
  route({ method: 'GET', path: '/v2.1/servers/:id', policy: `${P}servers:show`, handle: (ctx) => onServer(ctx, `${P}servers:show`, async (project, id) => {
    const [record, sight] = await Promise.all([project.compute.servers.get(id), sightOf(ctx)])
    return { server: fullServer(sight, record) }
  }) }),
  route({
    method: 'PUT', path: '/v2.1/servers/:id', policy: `${P}servers:update`, body: updateServer,
    handle: (ctx) => onServer(ctx, `${P}servers:update`, async (project, id) => {
      const given = ctx.body.server
      const record = await project.compute.servers.update(id, {
        ...(given.name === undefined ? {} : { name: given.name }), ...(given.description === undefined ? {} : { description: given.description }), ...(given.hostname === undefined ? {} : { hostname: given.hostname }),
        ...(given.accessIPv4 === undefined ? {} : { access_ip_v4: given.accessIPv4 }), ...(given.accessIPv6 === undefined ? {} : { access_ip_v6: given.accessIPv6 }), ...(given['OS-DCF:diskConfig'] === undefined ? {} : { disk_config: given['OS-DCF:diskConfig'] }),
      })
      return { server: changedServer(await sightOf(ctx), record, null) }
    }),
  }),
  route({
    method: 'DELETE', path: '/v2.1/servers/:id', policy: `${P}servers:delete`,
    handle: (ctx) => onServer(ctx, `${P}servers:delete`, async (project, id) => {
      await project.compute.servers.delete(id, { force: false, ...acting(ctx) })
      return reply({ status: 204 })
    }),
  }),
  route({ method: 'POST', path: '/v2.1/servers/:id/action', policy: 'token', body: 'json', handle: runAction }),
]
