/** OS-ENDPOINT-POLICY: which policy holds where. The nearest place decides: the endpoint, its service in its region or one around it, its service. Runs in the Identity object. */
import { type SQL, and, eq } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { endpoints, policies, policyAssociations, regions, services } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { EndpointRow } from '../endpoints/store.ts'
import { notFound } from '../kernel/realm.ts'
import { Store, exists, inTx } from '../kernel/store.ts'
import type { PolicyRow } from '../policies/store.ts'

/** An endpoint; or a service, everywhere or in a region. '' is not named. */
export interface Place {
  endpoint_id: string
  service_id: string
  region_id: string
}

const REGION_DEPTH_MAX = 64
const at = ({ endpoint_id, service_id, region_id }: Place) => and(eq(policyAssociations.endpoint_id, endpoint_id), eq(policyAssociations.service_id, service_id), eq(policyAssociations.region_id, region_id))

export class EndpointPolicies extends Store {
  /** The place has this policy from now on, and no other. */
  put(policyId: string, place: Place): void {
    this.#known(policyId, place)
    inTx(this, (tx) => {
      const before = this.#of(place)
      tx.db.insert(policyAssociations).values({ ...place, policy_id: policyId }).onConflictDoUpdate({ target: [policyAssociations.endpoint_id, policyAssociations.service_id, policyAssociations.region_id], set: { policy_id: policyId } }).run()
      tx.change('endpoint policy', policyId, 'update', before === null ? null : { ...place, policy_id: before }, { ...place, policy_id: policyId })
    })
  }

  check(policyId: string, place: Place): void {
    this.#known(policyId, place)
    if (this.#of(place) !== policyId) throw new Fault('not_found', 'Could not find policy association.')
  }

  /** Idempotent. */
  remove(policyId: string, place: Place): void {
    this.#known(policyId, place)
    inTx(this, (tx) => {
      if (this.#of(place) !== policyId) return
      tx.db.delete(policyAssociations).where(at(place)).run()
      tx.change('endpoint policy', policyId, 'update', { ...place, policy_id: policyId }, null)
    })
  }

  endpointsOf(policyId: string): EndpointRow[] {
    const { db } = this.realm
    this.#policy(policyId)
    const places = db.select().from(policyAssociations).where(eq(policyAssociations.policy_id, policyId)).all()
    return db.select().from(endpoints).all().filter((row) => places.some((place) => this.#covers(place, row)))
  }

  policyOf(endpointId: string): PolicyRow {
    const { db } = this.realm
    const endpoint = db.select().from(endpoints).where(eq(endpoints.id, endpointId)).get()
    if (endpoint === undefined) throw notFound('endpoint', endpointId)
    const { service_id } = endpoint
    const places: Place[] = [{ endpoint_id: endpointId, service_id: '', region_id: '' }, ...this.#around(endpoint.region_id).map((region_id) => ({ endpoint_id: '', service_id, region_id })), { endpoint_id: '', service_id, region_id: '' }]
    for (const place of places) {
      const id = this.#of(place)
      if (id !== null) return this.#policy(id)
    }
    throw new Fault('not_found', `No policy is associated with endpoint ${endpointId}.`)
  }

  #covers(place: Place, endpoint: EndpointRow): boolean {
    if (place.endpoint_id !== '') return place.endpoint_id === endpoint.id
    return place.service_id === endpoint.service_id && (place.region_id === '' || this.#around(endpoint.region_id).includes(place.region_id))
  }

  /** A region and those that it lies in, nearest first. */
  #around(regionId: string | null): string[] {
    const chain: string[] = []
    for (let id = regionId; id !== null && chain.length < REGION_DEPTH_MAX; ) {
      chain.push(id)
      id = this.realm.db.select({ parent: regions.parent_region_id }).from(regions).where(eq(regions.id, id)).get()?.parent ?? null
    }
    return chain
  }

  #of(place: Place): string | null {
    return this.realm.db.select({ id: policyAssociations.policy_id }).from(policyAssociations).where(at(place)).get()?.id ?? null
  }

  #policy(id: string): PolicyRow {
    const row = this.realm.db.select().from(policies).where(eq(policies.id, id)).get()
    if (row === undefined) throw notFound('policy', id)
    return row
  }

  #known(policyId: string, { endpoint_id, service_id, region_id }: Place): void {
    const { db } = this.realm
    this.#policy(policyId)
    if (endpoint_id !== '' && !exists(db, endpoints, endpoint_id)) throw notFound('endpoint', endpoint_id)
    if (service_id !== '' && !exists(db, services, service_id)) throw notFound('service', service_id)
    if (region_id !== '' && !exists(db, regions, region_id)) throw notFound('region', region_id)
  }
}

/** What hangs on something that is being deleted. */
export function removeAssociations(db: Db, of: { policy_id: string } | { endpoint_id: string } | { service_id: string; endpoint_ids: string[] } | { region_id: string }): void {
  let where: SQL | undefined
  if ('policy_id' in of) where = eq(policyAssociations.policy_id, of.policy_id)
  else if ('endpoint_id' in of) where = eq(policyAssociations.endpoint_id, of.endpoint_id)
  else if ('region_id' in of) where = eq(policyAssociations.region_id, of.region_id)
  else {
    for (const id of of.endpoint_ids) removeAssociations(db, { endpoint_id: id })
    where = eq(policyAssociations.service_id, of.service_id)
  }
  db.delete(policyAssociations).where(where).run()
}
