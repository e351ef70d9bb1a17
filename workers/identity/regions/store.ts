/** Regions: a tree of names that endpoints refer to. Runs in the Identity object. */
import { eq, inArray, sql } from 'drizzle-orm'
import { endpoints, regions } from '../../../schema/identity/tables.ts'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { byIds } from '../assignments/effective.ts'
import { removeAssociations } from '../endpoint-policy/store.ts'
import { type Realm, forbidden, invalid, notFound } from '../kernel/realm.ts'
import { TableStore, exists } from '../kernel/store.ts'

export type RegionRow = typeof regions.$inferSelect

/** Regions inside another, at any depth. */
const below = (db: Db, id: string): string[] =>
  db.all<{ id: string }>(sql`WITH RECURSIVE below(id) AS (SELECT id FROM regions WHERE parent_region_id = ${id} UNION SELECT r.id FROM regions r JOIN below b ON r.parent_region_id = b.id) SELECT id FROM below`).map((row) => row.id)

export class Regions extends TableStore<typeof regions> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, {
      kind: 'region',
      table: regions,
      check: ({ realm: { db } }, row, before) => {
        if (before === null && exists(db, regions, row.id)) throw new Fault('conflict', `Conflict occurred attempting to store region - Duplicate ID, ${row.id}..`)
        if (row.parent_region_id !== null && !exists(db, regions, row.parent_region_id)) throw notFound('region', row.parent_region_id)
        if (row.parent_region_id !== null && (row.parent_region_id === row.id || below(db, row.id).includes(row.parent_region_id))) throw invalid(`The specified parent region ${row.id} would create a circular region hierarchy.`)
      },
      remove: ({ realm: { db } }, row) => {
        const inner = below(db, row.id)
        if (byIds([row.id, ...inner], (chunk) => db.select().from(endpoints).where(inArray(endpoints.region_id, chunk)).all()).length > 0) {
          throw forbidden(`Unable to delete region ${row.id} because it or its child regions have associated endpoints.`)
        }
        for (const id of [row.id, ...inner]) removeAssociations(db, { region_id: id })
        for (const id of inner) db.delete(regions).where(eq(regions.id, id)).run()
      },
      changed: ({ realm }) => realm.catalog.changed(),
    })
  }
}
