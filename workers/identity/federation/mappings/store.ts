/** Mappings: rules by id. One that a protocol uses is not deleted. Runs in the Identity object. */
import { eq } from 'drizzle-orm'
import { federationProtocols, mappings } from '../../../../schema/identity/tables.ts'
import type { Caller } from '../../../../schema/values/caller.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { type Realm, linked } from '../../kernel/realm.ts'
import { TableStore, exists } from '../../kernel/store.ts'

export type MappingRow = typeof mappings.$inferSelect

export class Mappings extends TableStore<typeof mappings> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, {
      kind: 'mapping',
      table: mappings,
      check: ({ realm: { db } }, row, before) => {
        if (before === null && exists(db, mappings, row.id)) throw linked('mapping')
      },
      remove: ({ realm: { db } }, row) => {
        const used = db.select().from(federationProtocols).where(eq(federationProtocols.mapping_id, row.id)).get()
        if (used !== undefined) throw new Fault('conflict', `Mapping ${row.id} is used by protocol ${used.id} of identity provider ${used.idp_id}.`)
      },
    })
  }

  override create(values: Partial<MappingRow>): MappingRow {
    return super.create({ schema_version: '1.0', ...values })
  }
}
