/** Groups and their members. Losing a member ends the tokens that the group gave it. Runs in the Identity object. */
import { and, eq } from 'drizzle-orm'
import { assignments, groupMembers, groups, users, vouchedMembers } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { groupIdsOf, projectById } from '../assignments/effective.ts'
import { directoryOptions } from '../domain-config/store.ts'
import { type ListQuery, listRows } from '../kernel/listing.ts'
import { duplicate, forbidden, invalid, notFound } from '../kernel/realm.ts'
import { Store, exists, inTx, merged } from '../kernel/store.ts'
import { removeGroupRows } from '../projects/store.ts'
import { type Impact, both, ofAssignment } from '../revocations/concerned.ts'

export type GroupRow = typeof groups.$inferSelect

export const notMember = (id: string, userId: string): Fault => new Fault('not_found', `User '${userId}' not found in group '${id}'`)

const readOnly = () => forbidden('The groups of this domain are in a directory, which is not written to.')

export class Groups extends Store {
  get(id: string): GroupRow {
    const row = this.realm.db.select().from(groups).where(eq(groups.id, id)).get()
    if (row === undefined) throw notFound('group', id)
    return row
  }

  list(query: ListQuery): GroupRow[] {
    return listRows(this.realm.db, groups, query)
  }

  create(spec: { name: string; domain_id?: string | null; description?: string | null; extra?: Record<string, unknown> }): GroupRow {
    return inTx(this, (tx) => {
      const domainId = spec.domain_id ?? this.caller.domain_id ?? 'default'
      if (projectById(this.realm.db, domainId)?.is_domain !== true) throw notFound('domain', domainId)
      if (directoryOptions(this.realm, domainId) !== null) throw readOnly()
      const row: GroupRow = { id: this.realm.deps.ids.hex(), name: spec.name, domain_id: domainId, description: spec.description ?? '', extra: spec.extra ?? {}, origin: 'local' }
      this.#unique(row)
      tx.db.insert(groups).values(row).run()
      tx.change('group', row.id, 'create', null, row)
      return row
    })
  }

  update(id: string, change: Partial<Omit<GroupRow, 'description'> & { description: string | null }>): GroupRow {
    return inTx(this, (tx) => {
      const before = this.get(id)
      if (before.origin === 'ldap') throw readOnly()
      if (change.domain_id != null && change.domain_id !== before.domain_id) throw invalid('Cannot change Domain ID')
      const row = merged<GroupRow>(before, { ...(change as Partial<GroupRow>), ...(change.description === null ? { description: '' } : {}) })
      this.#unique(row)
      tx.db.update(groups).set(row).where(eq(groups.id, id)).run()
      tx.change('group', id, 'update', before, row)
      return row
    })
  }

  async delete(id: string): Promise<void> {
    const { revoker } = this.realm
    const seq = inTx(this, (tx) => {
      if (this.get(id).origin === 'ldap') throw readOnly()
      const impact = this.#given(id)
      removeGroupRows(tx, id)
      return revoker.record(impact.refs, impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  hasMember(id: string, userId: string): boolean {
    this.#member(id, userId)
    return groupIdsOf(this.realm.db, userId).includes(id)
  }

  addMember(id: string, userId: string): void {
    this.#member(id, userId)
    if (this.get(id).origin === 'ldap') throw readOnly()
    inTx(this, (tx) => {
      tx.db.insert(groupMembers).values({ group_id: id, user_id: userId }).onConflictDoNothing().run()
      tx.change('group', id, 'update', null, { member: userId })
    })
  }

  async removeMember(id: string, userId: string): Promise<void> {
    const { revoker } = this.realm
    if (this.get(id).origin === 'ldap') throw readOnly()
    if (!this.hasMember(id, userId)) throw notMember(id, userId)
    const seq = inTx(this, (tx) => {
      const impact = this.#given(id)
      tx.db.delete(groupMembers).where(and(eq(groupMembers.group_id, id), eq(groupMembers.user_id, userId))).run()
      tx.db.delete(vouchedMembers).where(and(eq(vouchedMembers.group_id, id), eq(vouchedMembers.user_id, userId))).run()
      tx.change('group', id, 'update', { member: userId }, null)
      return revoker.record(impact.refs.filter(({ subject }) => subject === userId || subject.startsWith(`${userId}:`)), impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  /** What the group gives its members. */
  #given(id: string): Impact {
    const { db } = this.realm
    return both(...db.select().from(assignments).where(and(eq(assignments.actor_type, 'group'), eq(assignments.actor_id, id))).all().map((row) => ofAssignment(db, row)))
  }

  #member(id: string, userId: string): void {
    this.get(id)
    if (!exists(this.realm.db, users, userId)) throw notFound('user', userId)
  }

  #unique(row: GroupRow): void {
    const found = this.realm.db.select({ id: groups.id }).from(groups).where(and(eq(groups.domain_id, row.domain_id), eq(groups.name, row.name), eq(groups.origin, 'local'))).get()
    if (found !== undefined && found.id !== row.id) throw duplicate('group', `name ${row.name} at domain ID ${row.domain_id}`)
  }
}
