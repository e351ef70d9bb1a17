/** Unified limits: defaults registered per service, region and resource, and limits of projects and domains over them. Runs in the Identity object. */
import { and, eq, isNull } from 'drizzle-orm'
import { limits, projects, registeredLimits, regions, services } from '../../../schema/identity/tables.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { projectById } from '../assignments/effective.ts'
import { type Realm, expecting, forbidden, invalid } from '../kernel/realm.ts'
import { type Store, TableStore, exists } from '../kernel/store.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { checkTwoLevel } from './two-level.ts'

export type RegisteredLimitRow = typeof registeredLimits.$inferSelect
export type LimitRow = typeof limits.$inferSelect

const regionIs = (column: typeof limits.region_id | typeof registeredLimits.region_id, id: string | null) => (id === null ? isNull(column) : eq(column, id))
const taken = (kind: string) => new Fault('conflict', `Conflict occurred attempting to store ${kind} - Duplicate entry.`)

function checkPlace({ realm: { db } }: Store, row: { service_id: string; region_id: string | null }, kind: string): void {
  if (!exists(db, services, row.service_id)) throw expecting('service_id', kind)
  if (row.region_id !== null && !exists(db, regions, row.region_id)) throw expecting('region_id', kind)
}

export class RegisteredLimits extends TableStore<typeof registeredLimits> {
  constructor(realm: Realm, caller: Caller) {
    const used = (row: RegisteredLimitRow) => realm.db.select().from(limits).where(and(eq(limits.service_id, row.service_id), eq(limits.resource_name, row.resource_name), regionIs(limits.region_id, row.region_id))).get() !== undefined
    const inUse = (row: RegisteredLimitRow) => forbidden(`Unable to update or delete registered limit ${row.id} because there are project limits associated with it.`)
    super(realm, caller, {
      kind: 'registered limit',
      missing: (id) => new Fault('not_found', `Could not find registered limit for ${id}.`),
      table: registeredLimits,
      check: (store, row, before) => {
        checkPlace(store, row, 'registered_limit')
        const same = realm.db.select().from(registeredLimits).where(and(eq(registeredLimits.service_id, row.service_id), eq(registeredLimits.resource_name, row.resource_name), regionIs(registeredLimits.region_id, row.region_id))).get()
        if (same !== undefined && same.id !== row.id) throw taken('registered_limit')
        const moved = before !== null && (before.service_id !== row.service_id || before.region_id !== row.region_id || before.resource_name !== row.resource_name)
        if (moved && used(before)) throw inUse(before)
      },
      remove: (_store, row) => {
        if (used(row)) throw inUse(row)
      },
    })
  }
}

export class Limits extends TableStore<typeof limits> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, {
      kind: 'limit',
      missing: (id) => new Fault('not_found', `Could not find limit for ${id}.`),
      table: limits,
      check: (store, row, before) => {
        checkPlace(store, row, 'limit')
        if ((row.project_id === null) === (row.domain_id === null)) throw invalid('A limit is for either a project or a domain.')
        if (row.project_id !== null && !exists(realm.db, projects, row.project_id)) throw expecting('project_id', 'limit')
        if (row.domain_id !== null && projectById(realm.db, row.domain_id)?.is_domain !== true) throw expecting('domain_id', 'limit')
        if (before !== null) return
        const registered = realm.db.select().from(registeredLimits).where(and(eq(registeredLimits.service_id, row.service_id), eq(registeredLimits.resource_name, row.resource_name), regionIs(registeredLimits.region_id, row.region_id))).get()
        if (registered === undefined) throw forbidden('Unable to create a limit that has no corresponding registered limit.')
        const owner = row.project_id === null ? eq(limits.domain_id, row.domain_id ?? '') : eq(limits.project_id, row.project_id)
        const same = realm.db.select().from(limits).where(and(owner, eq(limits.service_id, row.service_id), eq(limits.resource_name, row.resource_name), regionIs(limits.region_id, row.region_id))).get()
        if (same !== undefined) throw taken('limit')
      },
      changed: (_store, rows) => {
        if (realm.options.enforcement_model === 'strict_two_level') for (const row of rows) checkTwoLevel(realm.db, row)
      },
    })
  }
}
