/** The catalog as tokens carry it: enabled services with their enabled endpoints, kept in memory between changes. */
import { asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { prepared } from '../../../durable-objects/kernel/prepared.ts'
import { endpointGroups, endpoints, projectEndpoints, services } from '../../../schema/identity/tables.ts'

export interface CatalogEndpoint {
  id: string
  interface: string
  region_id: string | null
  /** May hold $(origin)s, $(project_id)s and their like; views/render fills them. */
  url: string
  service_id: string
}

export interface CatalogService {
  id: string
  type: string
  name: string
  endpoints: CatalogEndpoint[]
}

const endpointsOfProject = prepared((db) => db.select().from(projectEndpoints).where(eq(projectEndpoints.project_id, sql.placeholder('id'))).prepare())

export class Catalog {
  #db: Db
  #all: CatalogService[] | null = null

  constructor(db: Db) {
    this.#db = db
  }

  /** After any change of services, endpoints or regions. */
  changed(): void {
    this.#all = null
  }

  /** All services, or those associated with the project where it has associations (OS-EP-FILTER). */
  of(projectId: string | null): CatalogService[] {
    this.#all ??= this.#read()
    const wanted = projectId === null ? null : this.endpointIdsOf(projectId)
    if (wanted === null) return this.#all
    return this.#all.map((service) => ({ ...service, endpoints: service.endpoints.filter(({ id }) => wanted.has(id)) })).filter((service) => service.endpoints.length > 0)
  }

  /** Endpoints associated with a project, singly or by group; null without any association. */
  endpointIdsOf(projectId: string): Set<string> | null {
    const rows = endpointsOfProject(this.#db).all({ id: projectId })
    if (rows.length === 0) return null
    const ids = new Set(rows.filter((row) => row.kind === 'endpoint').map((row) => row.ref_id))
    for (const { ref_id } of rows.filter((row) => row.kind === 'group')) {
      const group = this.#db.select().from(endpointGroups).where(eq(endpointGroups.id, ref_id)).get()
      if (group !== undefined) for (const endpoint of this.endpointsOfFilter(group.filters)) ids.add(endpoint.id)
    }
    return ids
  }

  endpointsOfFilter(filters: Record<string, string>) {
    return this.#db.select().from(endpoints).all().filter((endpoint) => Object.entries(filters).every(([key, value]) => String(endpoint[key as 'region_id'] ?? '') === String(value)))
  }

  #read(): CatalogService[] {
    const rows = this.#db.select().from(endpoints).where(eq(endpoints.enabled, true)).orderBy(asc(endpoints.id)).all()
    return this.#db.select().from(services).where(eq(services.enabled, true)).orderBy(asc(services.type)).all().map((service) => ({
      id: service.id, type: service.type, name: service.name ?? '',
      endpoints: rows.filter((row) => row.service_id === service.id).map(({ id, interface: face, region_id, url, service_id }) => ({ id, interface: face, region_id, url, service_id })),
    }))
  }
}
