/** Services of the catalog. Deleting one takes its endpoints. Runs in the Identity object. */
import { eq } from 'drizzle-orm'
import { endpoints, limits, registeredLimits, services } from '../../../schema/identity/tables.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { removeAssociations } from '../endpoint-policy/store.ts'
import type { Realm } from '../kernel/realm.ts'
import { TableStore } from '../kernel/store.ts'

export type ServiceRow = typeof services.$inferSelect

export class Services extends TableStore<typeof services> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, {
      kind: 'service',
      table: services,
      remove: ({ realm: { db } }, row) => {
        removeAssociations(db, { service_id: row.id, endpoint_ids: db.select({ id: endpoints.id }).from(endpoints).where(eq(endpoints.service_id, row.id)).all().map(({ id }) => id) })
        for (const table of [endpoints, limits, registeredLimits]) db.delete(table).where(eq(table.service_id, row.id)).run()
      },
      changed: (store) => store.realm.catalog.changed(),
    })
  }

  override create(values: Partial<ServiceRow>): ServiceRow {
    return super.create({ enabled: true, name: '', description: null, ...values })
  }
}
