/** Routes of instance actions and migrations, by microversion. */
import { Fault } from '../../../schema/values/fault.ts'
import { isoMicrosNoZone } from '../../../schema/values/time.ts'
import type { MigrationRow } from '../../../schema/project/compute.ts'
import type { Context } from '../../http/context.ts'
import { route } from '../../http/route.ts'
import { nextLink } from '../common/links.ts'
import { limitOf, slice } from '../common/query.ts'
import { decoded } from '../common/texts.ts'
import { numberOf } from '../hosts/views.ts'
import { onServer } from '../servers/access.ts'
import { hostHash } from '../servers/views.ts'
import type { LoggedAction } from './store.ts'

const P = 'os_compute_api:'

function actionView(minor: number, row: LoggedAction) {
  return {
    action: row.action, instance_uuid: row.server_id, message: row.message, project_id: row.project_id, user_id: row.user_id, request_id: row.request_id, start_time: isoMicrosNoZone(row.start_ms),
    ...(minor >= 58 ? { updated_at: isoMicrosNoZone(row.updated_ms) } : {}),
  }
}

function eventsView(ctx: Context, row: LoggedAction) {
  const sees = ctx.allows(`${P}os-instance-actions:events`)
  if (!sees && !ctx.at(51)) return {}
  return {
    events: row.events.map((event) => ({
      event: event.event, start_time: isoMicrosNoZone(event.start_ms), finish_time: event.finish_ms === null ? null : isoMicrosNoZone(event.finish_ms), result: event.result,
      ...(sees ? { traceback: event.result === 'Error' ? event.details : null } : {}), ...(ctx.at(62) ? { ...(sees ? { host: event.host ?? '' } : {}), hostId: hostHash(row.project_id, event.host) } : {}), ...(ctx.at(84) ? { details: event.details } : {}),
    })),
  }
}

function since(ctx: Context, name: string): number | null {
  const text = ctx.query.get(name)
  if (text === null) return null
  const at = Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`)
  if (Number.isNaN(at)) throw new Fault('bad_request', `Invalid input for query parameters ${name}. Value: ${text}. is not a date`)
  return at
}

async function listActions(ctx: Context) {
  return onServer(ctx, `${P}os-instance-actions:list`, async (project, id) => {
    const all = await project.compute.actions.list(id, ctx.at(21))
    if (!ctx.at(58)) return { instanceActions: all.map((row) => actionView(ctx.version[1], row)) }
    const [after, before] = [since(ctx, 'changes-since'), ctx.at(66) ? since(ctx, 'changes-before') : null]
    const rows = all.filter((row) => (after === null || row.updated_ms >= after) && (before === null || row.updated_ms <= before))
    const page = slice(rows, limitOf(ctx.query), ctx.query.get('marker'), (row) => row.request_id)
    if (page === null) throw new Fault('bad_request', `marker [${ctx.query.get('marker')}] not found`)
    const links = nextLink(ctx.origin, ctx.url, page.next)
    return { instanceActions: page.rows.map((row) => actionView(ctx.version[1], row)), ...(links === null ? {} : { links }) }
  })
}

type Listed = MigrationRow & { project_id: string }

function migrationView(minor: number, row: Listed) {
  return {
    id: row.id, instance_uuid: row.server_id, status: row.status, source_node: row.source, source_compute: row.source, dest_node: row.dest, dest_compute: row.dest, dest_host: null, old_instance_type_id: flavorNumber(row.old_flavor_id),
    new_instance_type_id: flavorNumber(row.new_flavor_id), created_at: isoMicrosNoZone(row.created_ms), updated_at: isoMicrosNoZone(row.updated_ms), ...(minor >= 23 ? { migration_type: row.type } : {}), ...(minor >= 59 ? { uuid: row.uuid } : {}),
    ...(minor >= 80 ? { project_id: row.project_id, user_id: row.user_id } : {}),
  }
}

const flavorNumber = (id: string): number => (/^\d{1,9}$/.test(id) ? Number(id) : numberOf(id) || 0)

async function listMigrations(ctx: Context) {
  const { query } = ctx
  const projects = await ctx.region.directory.projects()
  const rows = (await Promise.all(projects.map((id) => ctx.projectById(id).compute.actions.migrations(null)))).flat().sort((a, b) => b.created_ms - a.created_ms)
  const wanted = (row: Listed) =>
    [['status', row.status], ['instance_uuid', row.server_id], ['migration_type', row.type], ['source_compute', row.source], ['user_id', row.user_id], ['project_id', row.project_id]].every(([key, value]) => query.get(key ?? '') === null || query.get(key ?? '') === value) &&
    (query.get('host') === null || row.source === query.get('host') || row.dest === query.get('host'))
  const found = rows.filter(wanted)
  const page = ctx.at(59) ? slice(found, limitOf(query), query.get('marker'), (row) => row.uuid) : { rows: found, next: null }
  if (page === null) throw new Fault('bad_request', `Marker ${query.get('marker')} could not be found.`)
  const links = nextLink(ctx.origin, ctx.url, page.next)
  return { migrations: page.rows.map((row) => migrationView(ctx.version[1], row)), ...(links === null ? {} : { migrations_links: links }) }
}

export const actionLogRoutes = [
  route({ method: 'GET', path: '/v2.1/servers/:id/os-instance-actions', policy: `${P}os-instance-actions:list`, handle: listActions }),
  route({
    method: 'GET', path: '/v2.1/servers/:id/os-instance-actions/:request', policy: `${P}os-instance-actions:show`,
    handle: (ctx) => onServer(ctx, `${P}os-instance-actions:show`, async (project, id) => {
      const row = await project.compute.actions.get(id, decoded(ctx.params.request), ctx.at(21))
      return { instanceAction: { ...actionView(ctx.version[1], row), ...eventsView(ctx, row) } }
    }),
  }),
  route({ method: 'GET', path: '/v2.1/os-migrations', policy: `${P}os-migrations:index`, handle: listMigrations }),
  route({
    method: 'GET', path: '/v2.1/servers/:id/migrations', policy: `${P}servers:migrations:index`, versions: [23, null],
    handle: (ctx) => onServer(ctx, `${P}servers:migrations:index`, async (project, id) => {
      await project.compute.servers.location(id)
      return { migrations: [] }
    }),
  }),
]
