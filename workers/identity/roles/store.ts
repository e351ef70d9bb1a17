/** Roles and what they imply. Runs in the Identity object. */
import { and, eq, inArray } from 'drizzle-orm'
import { applicationCredentials, assignments, impliedRoles, roles, trusts } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type RoleRow, byIds, giversOf, projectById, rolesByIds } from '../assignments/effective.ts'
import { type ListQuery, listRows } from '../kernel/listing.ts'
import { duplicate, forbidden, invalid, linked, notFound } from '../kernel/realm.ts'
import { Store, inTx, merged } from '../kernel/store.ts'
import { mutable, removeRoleRows, unlocked } from '../projects/store.ts'
import { type Impact, both, ofAssignment } from '../revocations/concerned.ts'

export interface Inference {
  prior: RoleRow
  implies: RoleRow[]
}

/** Roles that no other role may imply (keystone's prohibited_implied_role). */
const NEVER_IMPLIED = ['admin']

export class Roles extends Store {
  get(id: string): RoleRow {
    const row = this.realm.db.select().from(roles).where(eq(roles.id, id)).get()
    if (row === undefined) throw notFound('role', id)
    return row
  }

  list(query: ListQuery): RoleRow[] {
    return listRows(this.realm.db, roles, query)
  }

  create(spec: { name: string; domain_id?: string | null; description?: string | null; options?: Record<string, unknown>; extra?: Record<string, unknown> }): RoleRow {
    return inTx(this, (tx) => {
      if (spec.domain_id != null && projectById(this.realm.db, spec.domain_id)?.is_domain !== true) throw notFound('domain', spec.domain_id)
      const row: RoleRow = { id: this.realm.deps.ids.hex(), name: spec.name, domain_id: spec.domain_id ?? '', description: spec.description ?? null, options: clean(spec.options ?? {}), extra: spec.extra ?? {} }
      this.#unique(row)
      tx.db.insert(roles).values(row).run()
      tx.change('role', row.id, 'create', null, row)
      return row
    })
  }

  update(id: string, change: Partial<RoleRow>): RoleRow {
    return inTx(this, (tx) => {
      const before = this.get(id)
      mutable(before, change.options, 'role')
      const { domain_id, options, ...rest } = change
      if (domain_id != null && domain_id !== before.domain_id) throw invalid('Update of `domain_id` is not allowed.')
      const row = merged(before, { ...rest, ...(options === undefined ? {} : { options: clean({ ...before.options, ...options }) }) })
      this.#unique(row)
      tx.db.update(roles).set(row).where(eq(roles.id, id)).run()
      tx.change('role', id, 'update', before, row)
      return row
    })
  }

  /** Tokens that carry the role end with it. */
  async delete(id: string): Promise<void> {
    const { db, revoker } = this.realm
    const seq = inTx(this, (tx) => {
      unlocked(this.get(id), 'role')
      const impact = this.#having(id)
      for (const row of db.select().from(applicationCredentials).all()) {
        if (row.role_ids.includes(id)) db.update(applicationCredentials).set({ role_ids: row.role_ids.filter((role) => role !== id) }).where(eq(applicationCredentials.id, row.id)).run()
      }
      for (const row of db.select().from(trusts).all()) if (row.role_ids.includes(id)) db.update(trusts).set({ role_ids: row.role_ids.filter((role) => role !== id) }).where(eq(trusts.id, row.id)).run()
      removeRoleRows(tx, id)
      return revoker.record(impact.refs, impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  inference(priorId: string): Inference {
    const prior = this.get(priorId)
    const rows = this.realm.db.select().from(impliedRoles).where(eq(impliedRoles.prior_id, priorId)).all()
    return { prior, implies: rolesByIds(this.realm.db, rows.map((row) => row.implied_id)) }
  }

  inferences(): Inference[] {
    const priors = new Set(this.realm.db.select().from(impliedRoles).all().map((row) => row.prior_id))
    return [...priors].map((id) => this.inference(id))
  }

  implied(priorId: string, impliedId: string): { prior: RoleRow; implied: RoleRow } {
    const [prior, implied] = [this.get(priorId), this.get(impliedId)]
    if (this.#link(priorId, impliedId) === undefined) throw new Fault('not_found', `${priorId} does not imply ${impliedId}.`)
    return { prior, implied }
  }

  imply(priorId: string, impliedId: string): { prior: RoleRow; implied: RoleRow } {
    const [prior, implied] = [this.get(priorId), this.get(impliedId)]
    if (NEVER_IMPLIED.includes(implied.name) || (prior.domain_id === '' && implied.domain_id !== '')) throw forbidden(`${impliedId} cannot be an implied roles.`)
    return inTx(this, (tx) => {
      if (this.#link(priorId, impliedId) !== undefined) throw linked('implied_role')
      tx.db.insert(impliedRoles).values({ prior_id: priorId, implied_id: impliedId }).run()
      tx.change('implied role', priorId, 'create', null, { implied_id: impliedId })
      return { prior, implied }
    })
  }

  /** Tokens that had the implied role by way of the prior one end. */
  async unimply(priorId: string, impliedId: string): Promise<void> {
    const { revoker } = this.realm
    const seq = inTx(this, (tx) => {
      this.implied(priorId, impliedId)
      const impact = this.#having(priorId)
      tx.db.delete(impliedRoles).where(and(eq(impliedRoles.prior_id, priorId), eq(impliedRoles.implied_id, impliedId))).run()
      tx.change('implied role', priorId, 'delete', { implied_id: impliedId }, null)
      return revoker.record(impact.refs, impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  /** Tokens that carry the role, whether it was given or is implied by one that was. */
  #having(id: string): Impact {
    const { db } = this.realm
    return both(...byIds(giversOf(db, id), (chunk) => db.select().from(assignments).where(inArray(assignments.role_id, chunk)).all()).map((row) => ofAssignment(db, row)))
  }

  #link(priorId: string, impliedId: string) {
    return this.realm.db.select().from(impliedRoles).where(and(eq(impliedRoles.prior_id, priorId), eq(impliedRoles.implied_id, impliedId))).get()
  }

  #unique(row: RoleRow): void {
    const found = this.realm.db.select({ id: roles.id }).from(roles).where(and(eq(roles.domain_id, row.domain_id), eq(roles.name, row.name))).get()
    if (found !== undefined && found.id !== row.id) throw duplicate('role', `name ${row.name}`)
  }
}

const clean = (options: Record<string, unknown>) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null))
