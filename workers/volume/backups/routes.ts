/** /backups: create, show, list, change, restore, delete, records, actions. */
import { any, looseObject, nullish, object, optional, record, string } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { isAdmin, onOwner, rowsOf } from '../locate.ts'
import { type Keys, nextLinks, paged, parsePage, truth } from '../page.ts'
import { basesOf, both, param } from '../route.ts'
import { flag, metadata, name } from '../volumes/requests.ts'
import type { ViewOf } from '../volumes/views.ts'
import { type BackupData, type BackupRecord, BACKUP_SERVICE } from './store.ts'
import { detailView, listedView, summaryView } from './views.ts'

const createBody = object({
  backup: looseObject({
    volume_id: string(), name, description: name, container: nullish(string()), incremental: nullish(flag), force: nullish(flag), snapshot_id: nullish(string()), metadata: nullish(metadata), availability_zone: nullish(string()),
  }),
})
const updateBody = object({ backup: looseObject({ name, description: name, metadata: optional(metadata) }) })
const restoreBody = object({ restore: looseObject({ volume_id: nullish(string()), name }) })
const importBody = object({ 'backup-record': object({ backup_service: string(), backup_url: string() }) })
const missing = (id: string) => new Fault('not_found', `Backup ${id} could not be found.`)
const KEYS: Keys<BackupData> = { id: (row) => row.id, name: (row) => row.name, status: (row) => row.status, size: (row) => row.size_gib, volume_id: (row) => row.volume_id, container: (row) => row.container, created_at: (row) => row.created_ms, updated_at: (row) => row.updated_ms, project_id: (row) => row.project_id }

const view = (ctx: Context): ViewOf => ({ minor: ctx.version[1], admin: isAdmin(ctx), base: basesOf(ctx) })
const id = (ctx: Context) => param(ctx, 'id')

async function list(ctx: Context, detail: boolean) {
  const filters: [string, (row: BackupData) => string | null][] = [['name', (row) => row.name], ['status', (row) => row.status], ['volume_id', (row) => row.volume_id]]
  const found = (await rowsOf(ctx, (stores) => stores.backups.list())).filter((row) => filters.every(([key, of]) => (ctx.query.get(key) ?? of(row)) === of(row)) && (row.name ?? '').includes(ctx.query.get('name~') ?? ''))
  const { rows, more } = paged(found, parsePage(ctx.query, Object.keys(KEYS)), KEYS, missing)
  const withCount = ctx.at(45) && ctx.query.get('with_count') !== null && truth(ctx.query.get('with_count'), 'with_count')
  return { backups: rows.map((row) => (detail ? detailView : listedView)(row, view(ctx))), ...nextLinks(ctx.origin, ctx.url, 'backups', rows, more), ...(withCount ? { count: found.length } : {}) }
}

async function create(ctx: Context) {
  const { backup } = ctx.body
  if (ctx.at(43) === false && backup.metadata != null) throw new Fault('bad_request', 'Additional properties are not allowed: metadata needs microversion 3.43.')
  const made = await onOwner(ctx, backup.volume_id, (stores) => stores.backups.create({
    volume_id: backup.volume_id, snapshot_id: backup.snapshot_id || null, name: backup.name ?? null, description: backup.description ?? null, container: backup.container || null, metadata: backup.metadata ?? {}, force: backup.force ?? false,
    incremental: backup.incremental ?? false,
  }))
  return { backup: summaryView(made, view(ctx)) }
}

async function restore(ctx: Context) {
  const { volume_id, name: title } = ctx.body.restore
  const quota_defaults = await ctx.region.volume.types.quotaDefaults()
  return { restore: await onOwner(ctx, id(ctx), (stores) => stores.backups.restore(id(ctx), { volume_id: volume_id || null, name: title ?? null, quota_defaults })) }
}

async function action(ctx: Context) {
  const [key] = Object.keys(ctx.body)
  if (key === 'os-reset_status') {
    ctx.authorize('volume_extension:backup_admin_actions:reset_status')
    await onOwner(ctx, id(ctx), (stores) => stores.backups.resetStatus(id(ctx), String(ctx.body[key]?.status)))
  } else if (key === 'os-force_delete') {
    ctx.authorize('volume_extension:backup_admin_actions:force_delete')
    await onOwner(ctx, id(ctx), (stores) => stores.backups.delete(id(ctx), true))
  } else throw new Fault('bad_request', `There is no such action: ${Object.keys(ctx.body).join(', ')}`)
  return reply({ status: 202 })
}

/** A record is the row as base64 JSON: opaque to clients, checked when it comes back. */
function decodeRecord(url: string): BackupRecord {
  try {
    const value = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(url), (char) => char.charCodeAt(0)))) as BackupRecord
    if (typeof value.project_id === 'string' && typeof value.id === 'string' && typeof value.object === 'string' && typeof value.volume_id === 'string') return value
  } catch {}
  throw new Fault('bad_request', "Invalid input received: Can't parse backup record.")
}

const encodeRecord = (value: BackupRecord): string => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(value))))

async function importRecord(ctx: Context) {
  const { backup_service, backup_url } = ctx.body['backup-record']
  if (backup_service !== BACKUP_SERVICE) throw new Fault('unavailable', `Service ${backup_service} could not be found to import the backup.`)
  const decoded = decodeRecord(backup_url)
  const made = await ctx.project.volume.backups.importRecord(decoded)
  return { backup: { id: made.id, name: made.name, links: summaryView(made, view(ctx)).links } }
}

export const routes = [
  ...both({ method: 'POST', path: '/backups', policy: 'backup:create', body: createBody, status: 202, handle: create }),
  ...both({ method: 'GET', path: '/backups', policy: 'backup:get_all', handle: (ctx) => list(ctx, false) }),
  ...both({ method: 'GET', path: '/backups/detail', policy: 'backup:get_all', handle: (ctx) => list(ctx, true) }),
  ...both({ method: 'POST', path: '/backups/import_record', policy: 'backup:import', body: importBody, status: 201, handle: importRecord }),
  ...both({ method: 'GET', path: '/backups/:id', policy: 'backup:get', handle: async (ctx) => ({ backup: detailView(await onOwner(ctx, id(ctx), (stores) => stores.backups.get(id(ctx))), view(ctx)) }) }),
  ...both({
    method: 'PUT',
    path: '/backups/:id',
    policy: 'backup:update',
    versions: [9, null],
    body: updateBody,
    handle: async (ctx) => {
      const { name: title, description, metadata: data } = ctx.body.backup
      if (title === undefined && description === undefined && data === undefined) throw new Fault('bad_request', 'Missing required element(s) to update backup.')
      const change = { ...(title === undefined ? {} : { name: title }), ...(description === undefined ? {} : { description }), ...(data === undefined ? {} : { metadata: data }) }
      return { backup: summaryView(await onOwner(ctx, id(ctx), (stores) => stores.backups.update(id(ctx), change)), view(ctx)) }
    },
  }),
  ...both({
    method: 'DELETE',
    path: '/backups/:id',
    policy: 'backup:delete',
    handle: async (ctx) => {
      await onOwner(ctx, id(ctx), (stores) => stores.backups.delete(id(ctx), false))
      return reply({ status: 202 })
    },
  }),
  ...both({ method: 'POST', path: '/backups/:id/restore', policy: 'backup:restore', body: restoreBody, status: 202, handle: restore }),
  ...both({
    method: 'GET',
    path: '/backups/:id/export_record',
    policy: 'backup:export',
    handle: async (ctx) => ({ 'backup-record': { backup_service: BACKUP_SERVICE, backup_url: encodeRecord(await onOwner(ctx, id(ctx), (stores) => stores.backups.exportRecord(id(ctx)))) } }),
  }),
  ...both({ method: 'POST', path: '/backups/:id/action', policy: 'backup:get', body: record(string(), optional(any())), handle: action }),
]
