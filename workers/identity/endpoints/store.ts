/** Endpoints of the catalog. Runs in the Identity object. */
import { eq } from 'drizzle-orm'
import { endpoints, projectEndpoints, regions, services } from '../../../schema/identity/tables.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { removeAssociations } from '../endpoint-policy/store.ts'
import { type Realm, expecting } from '../kernel/realm.ts'
import { TableStore, exists } from '../kernel/store.ts'

export type EndpointRow = typeof endpoints.$inferSelect

export class Endpoints extends TableStore<typeof endpoints> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, {
      kind: 'endpoint',
      table: endpoints,
      check: ({ realm: { db } }, row) => {
        if (!exists(db, services, row.service_id)) throw expecting('endpoint service_id', 'service table')
        if (row.region_id !== null && !exists(db, regions, row.region_id)) throw expecting('endpoint region_id', 'region table')
      },
      remove: ({ realm: { db } }, row) => {
        db.delete(projectEndpoints).where(eq(projectEndpoints.ref_id, row.id)).run()
        removeAssociations(db, { endpoint_id: row.id })
      },
      changed: (store) => store.realm.catalog.changed(),
    })
  }

  /** `region`: the name of a region made on the way, as the older form of the API allows. */
  make(values: Partial<EndpointRow>, region: string | null): EndpointRow {
    return this.create({ enabled: true, region_id: null, name: null, ...values, ...this.#legacyRegion(region) })
  }

  change(id: string, values: Partial<EndpointRow>, region: string | null): EndpointRow {
    return this.update(id, { ...values, ...this.#legacyRegion(region) })
  }

  #legacyRegion(region: string | null): { region_id?: string } {
    const { db } = this.realm
    if (region === null) return {}
    if (!exists(db, regions, region)) db.insert(regions).values({ id: region, description: '', parent_region_id: null, extra: {} }).run()
    return { region_id: region }
  }
}
