/** OS-EP-FILTER: which endpoints a project sees in its catalog, singly or by groups of endpoints. Runs in the Identity object. */
import { and, eq } from 'drizzle-orm'
import { endpointGroups, endpoints, projectEndpoints, projects } from '../../../schema/identity/tables.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { type ProjectRow, projectsByIds } from '../assignments/effective.ts'
import type { EndpointRow } from '../endpoints/store.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type Realm, linked, notFound } from '../kernel/realm.ts'
import { TableStore, exists, inTx } from '../kernel/store.ts'

export type EndpointGroupRow = typeof endpointGroups.$inferSelect
type Kind = 'endpoint' | 'group'

export class EndpointGroups extends TableStore<typeof endpointGroups> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, {
      kind: 'endpoint group',
      missing: (id) => notFound('Endpoint Group', id),
      table: endpointGroups,
      remove: ({ realm: { db } }, row) => void db.delete(projectEndpoints).where(and(eq(projectEndpoints.kind, 'group'), eq(projectEndpoints.ref_id, row.id))).run(),
    })
  }

  associate(projectId: string, kind: Kind, refId: string): void {
    this.#known(projectId, kind, refId)
    inTx(this, (tx) => {
      if (this.#link(projectId, kind, refId) !== undefined) throw linked(kind === 'group' ? 'project_endpoint_group' : 'project_endpoint')
      tx.db.insert(projectEndpoints).values({ project_id: projectId, kind, ref_id: refId }).run()
      tx.change('endpoint filter', projectId, 'update', null, { kind, ref_id: refId })
    })
  }

  check(projectId: string, kind: Kind, refId: string): void {
    this.#known(projectId, kind, refId)
    if (this.#link(projectId, kind, refId) === undefined) throw new Fault('not_found', kind === 'group' ? 'Endpoint Group Project Association not found' : `Endpoint ${refId} not found in project ${projectId}`)
  }

  dissociate(projectId: string, kind: Kind, refId: string): void {
    this.check(projectId, kind, refId)
    inTx(this, (tx) => {
      tx.db.delete(projectEndpoints).where(and(eq(projectEndpoints.project_id, projectId), eq(projectEndpoints.kind, kind), eq(projectEndpoints.ref_id, refId))).run()
      tx.change('endpoint filter', projectId, 'update', { kind, ref_id: refId }, null)
    })
  }

  endpointsOfProject(projectId: string): EndpointRow[] {
    if (!exists(this.realm.db, projects, projectId)) throw notFound('project', projectId)
    const ids = this.realm.catalog.endpointIdsOf(projectId) ?? new Set()
    return this.realm.db.select().from(endpoints).all().filter((row) => ids.has(row.id))
  }

  groupsOfProject(projectId: string): EndpointGroupRow[] {
    if (!exists(this.realm.db, projects, projectId)) throw notFound('project', projectId)
    const rows = this.realm.db.select().from(projectEndpoints).where(and(eq(projectEndpoints.project_id, projectId), eq(projectEndpoints.kind, 'group'))).all()
    return rows.map((row) => this.get(row.ref_id))
  }

  endpointsOfGroup(id: string): EndpointRow[] {
    return this.realm.catalog.endpointsOfFilter(this.get(id).filters)
  }

  projectsOf(kind: Kind, refId: string): ProjectRow[] {
    this.#there(kind, refId)
    const rows = this.realm.db.select().from(projectEndpoints).where(and(eq(projectEndpoints.kind, kind), eq(projectEndpoints.ref_id, refId))).all()
    return projectsByIds(this.realm.db, rows.map((row) => row.project_id))
  }

  #link(projectId: string, kind: Kind, refId: string) {
    return this.realm.db.select().from(projectEndpoints).where(and(eq(projectEndpoints.project_id, projectId), eq(projectEndpoints.kind, kind), eq(projectEndpoints.ref_id, refId))).get()
  }

  #known(projectId: string, kind: Kind, refId: string): void {
    const { db } = this.realm
    if (!exists(db, projects, projectId)) throw notFound('project', projectId)
    this.#there(kind, refId)
  }

  #there(kind: Kind, refId: string): void {
    const { db } = this.realm
    if (kind === 'group') this.get(refId)
    else if (!exists(db, endpoints, refId)) throw notFound('endpoint', refId)
  }
}
