/**
 * First boot: domain Default, projects admin and service, user admin (its password is hashed at the first login, see passwords/store.ts), roles with their
 * implied roles, the region, and a service with three endpoints for each of ours in the catalog. Each thing is made once, by name: what an operator
 * deleted stays deleted, and a service added by a newer build appears.
 */
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { assignments, endpoints, impliedRoles, projects, regions, roles, seeded, services, users } from '../../../schema/identity/tables.ts'
import { systemCaller } from '../../../schema/values/caller.ts'

export const DEFAULT_DOMAIN_ID = 'default'
export const ROLE_CHAIN = ['admin', 'manager', 'member', 'reader']
const OTHER_ROLES = ['service', 'ResellerAdmin']
const INTERFACES = ['public', 'internal', 'admin']

/** A line of the catalog: workers/services.ts gives them. */
export interface CatalogLine {
  type: string
  name: string
  /** Path after the origin, {project_id} replaced per token. */
  endpoint: string
}

export function seed(deps: Deps, lines: CatalogLine[]): void {
  const { db } = deps
  const known = new Set(db.select({ name: seeded.name }).from(seeded).all().map((row) => row.name))
  const wanted = ['identity', ...lines.map((line) => `service/${line.type}`)]
  if (wanted.every((name) => known.has(name))) return
  deps.commit(systemCaller('first-boot'), (tx) => {
    const once = (name: string, work: () => void) => {
      if (known.has(name)) return
      work()
      db.insert(seeded).values({ name, at_ms: tx.now_ms }).run()
      tx.change('bootstrap', name, 'create', null, { name })
    }
    once('identity', () => seedModel(deps, tx.now_ms))
    for (const line of lines) once(`service/${line.type}`, () => seedService(deps, line))
  })
}

function seedModel(deps: Deps, now_ms: number): void {
  const { db, ids } = deps
  const blank = { description: '', tags: [], options: {}, extra: {} }
  db.insert(projects).values({ ...blank, id: DEFAULT_DOMAIN_ID, name: 'Default', domain_id: '', parent_id: null, is_domain: true, enabled: true, description: 'The default domain' }).run()
  const adminProject = ids.hex()
  db.insert(projects).values({ ...blank, id: adminProject, name: 'admin', domain_id: DEFAULT_DOMAIN_ID, parent_id: DEFAULT_DOMAIN_ID, is_domain: false, enabled: true, description: 'Bootstrap project for initializing the cloud.' }).run()
  db.insert(projects).values({ ...blank, id: ids.hex(), name: 'service', domain_id: DEFAULT_DOMAIN_ID, parent_id: DEFAULT_DOMAIN_ID, is_domain: false, enabled: true, description: 'Service accounts' }).run()
  const roleIds = new Map([...ROLE_CHAIN, ...OTHER_ROLES].map((name) => [name, ids.hex()]))
  for (const [name, id] of roleIds) db.insert(roles).values({ id, name, domain_id: '', description: null, options: { immutable: true }, extra: {} }).run()
  const idOf = (name: string) => roleIds.get(name) ?? ''
  for (const [at, name] of ROLE_CHAIN.slice(0, -1).entries()) db.insert(impliedRoles).values({ prior_id: idOf(name), implied_id: idOf(ROLE_CHAIN[at + 1] ?? '') }).run()
  const admin = ids.hex()
  db.insert(users).values({ id: admin, name: 'admin', domain_id: DEFAULT_DOMAIN_ID, enabled: true, default_project_id: null, options: {}, extra: {}, created_ms: now_ms, failed_ms: null, active_ms: null }).run()
  const grant = { actor_type: 'user' as const, actor_id: admin, role_id: idOf('admin'), inherited: false }
  db.insert(assignments).values({ ...grant, target_type: 'project', target_id: adminProject }).run()
  db.insert(assignments).values({ ...grant, target_type: 'system', target_id: 'all' }).run()
  db.insert(seeded).values({ name: `admin/${admin}`, at_ms: now_ms }).run()
  db.insert(regions).values({ id: deps.env.REGION_NAME || 'RegionOne', description: '', parent_region_id: null, extra: {} }).run()
}

function seedService(deps: Deps, line: CatalogLine): void {
  const { db, ids } = deps
  const region = deps.env.REGION_NAME || 'RegionOne'
  if (db.select().from(regions).where(eq(regions.id, region)).get() === undefined) db.insert(regions).values({ id: region, description: '', parent_region_id: null, extra: {} }).run()
  const service_id = ids.hex()
  db.insert(services).values({ id: service_id, type: line.type, name: line.name, description: '', enabled: true, extra: {} }).run()
  const url = `$(origin)s${line.endpoint.replaceAll('{project_id}', '$(project_id)s')}`
  for (const face of INTERFACES) db.insert(endpoints).values({ id: ids.hex(), service_id, region_id: region, interface: face, url, enabled: true, name: null, extra: {} }).run()
}

/** The first admin's user id, while nobody has set a password for it. */
export function bootstrapAdminId(deps: Deps): string | null {
  const row = deps.db.select().from(seeded).all().find(({ name }) => name.startsWith('admin/'))
  return row === undefined ? null : row.name.slice('admin/'.length)
}
