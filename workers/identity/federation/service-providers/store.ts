/** Service providers: other clouds that could trust this one. Registered and listed; this cloud sends nobody to them. Runs in the Identity object. */
import { serviceProviders } from '../../../../schema/identity/tables.ts'
import type { Caller } from '../../../../schema/values/caller.ts'
import { type Realm, duplicate } from '../../kernel/realm.ts'
import { TableStore, exists } from '../../kernel/store.ts'

export type ServiceProviderRow = typeof serviceProviders.$inferSelect
export const RELAY_STATE_PREFIX = 'ss:mem:'

export class ServiceProviders extends TableStore<typeof serviceProviders> {
  constructor(realm: Realm, caller: Caller) {
    super(realm, caller, {
      kind: 'Service Provider',
      table: serviceProviders,
      check: ({ realm: { db } }, row, before) => {
        if (before === null && exists(db, serviceProviders, row.id)) throw duplicate('service_provider', `ID ${row.id}`)
      },
    })
  }

  override create(values: Partial<ServiceProviderRow>): ServiceProviderRow {
    return super.create({ enabled: false, description: null, ...values, relay_state_prefix: values.relay_state_prefix ?? RELAY_STATE_PREFIX })
  }
}
