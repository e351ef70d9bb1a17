/**
 * Brings rows of another Keystone over. What is here already stays as it is, whatever the other side says: so a batch can be sent again, and a second run makes
 * nothing. Each batch is one transaction; a row that cannot be, because what it hangs on is not here, is refused by itself. Runs in the Identity object.
 */
import { type SQL, and, eq } from 'drizzle-orm'
import type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { assignments, groupMembers, groups, impliedRoles, passwords, projects, roles, users } from '../../../schema/identity/tables.ts'
import { SYSTEM_TARGET } from '../assignments/effective.ts'
import { Store, exists, inTx } from '../kernel/store.ts'
import { isKnownHash } from '../passwords/hash.ts'
import type { ImportRequest, ImportResult, RowsOf } from './requests.ts'

type IdTable = SQLiteTable & { id: SQLiteColumn }
const refused = (note: string): ImportResult => ({ outcome: 'refused', note })
const made: ImportResult = { outcome: 'made' }
const kept: ImportResult = { outcome: 'kept' }

export class Import extends Store {
  run(request: ImportRequest): ImportResult[] {
    return inTx(this, (tx) => {
      switch (request.kind) {
        case 'domain':
          return request.rows.map((row) => this.#named(tx, 'domain', projects, row, and(eq(projects.domain_id, ''), eq(projects.name, row.name)), () => tx.db.insert(projects).values({ ...row, domain_id: '', parent_id: null, is_domain: true }).run()))
        case 'project':
          return request.rows.map((row) => this.#project(tx, row))
        case 'role':
          return request.rows.map((row) => this.#role(tx, row))
        case 'implied_role':
          return request.rows.map((row) => this.#implied(tx, row))
        case 'user':
          return request.rows.map((row) => this.#user(tx, row))
        case 'group':
          return request.rows.map((row) => (this.#isDomain(row.domain_id) ? this.#named(tx, 'group', groups, row, and(eq(groups.domain_id, row.domain_id), eq(groups.name, row.name), eq(groups.origin, 'local')), () => tx.db.insert(groups).values({ ...row, origin: 'local' }).run()) : refused(`there is no domain ${row.domain_id}`)))
        case 'member':
          return request.rows.map((row) => this.#member(tx, row))
        case 'assignment':
          return request.rows.map((row) => this.#assignment(tx, row))
        default:
          return request satisfies never
      }
    })
  }

  /** Here by id: kept. Here by name: mapped. Else made. */
  #named(tx: Tx, kind: string, table: IdTable, row: { id: string }, sameName: SQL | undefined, insert: () => void): ImportResult {
    if (exists(tx.db, table, row.id)) return kept
    const same = tx.db.select({ id: table.id }).from(table as never).where(sameName).get() as { id: string } | undefined
    if (same !== undefined) return { outcome: 'mapped', as: same.id }
    insert()
    tx.change(kind, row.id, 'create', null, { ...row, passwords: undefined, imported: true })
    return made
  }

  #isDomain(id: string): boolean {
    return this.realm.db.select({ is_domain: projects.is_domain }).from(projects).where(eq(projects.id, id)).get()?.is_domain === true
  }

  #project(tx: Tx, row: RowsOf<'project'>[number]): ImportResult {
    const parent = row.parent_id ?? row.domain_id
    const above = tx.db.select().from(projects).where(eq(projects.id, parent)).get()
    if (!this.#isDomain(row.domain_id)) return refused(`there is no domain ${row.domain_id}`)
    if (above === undefined || (above.is_domain ? above.id : above.domain_id) !== row.domain_id) return refused(`there is no project ${parent} above it in its domain`)
    return this.#named(tx, 'project', projects, row, and(eq(projects.domain_id, row.domain_id), eq(projects.name, row.name)), () => tx.db.insert(projects).values({ ...row, parent_id: parent, is_domain: false }).run())
  }

  #role(tx: Tx, { domain_id, ...row }: RowsOf<'role'>[number]): ImportResult {
    if (domain_id !== null && !this.#isDomain(domain_id)) return refused(`there is no domain ${domain_id}`)
    return this.#named(tx, 'role', roles, row, and(eq(roles.domain_id, domain_id ?? ''), eq(roles.name, row.name)), () => tx.db.insert(roles).values({ ...row, domain_id: domain_id ?? '' }).run())
  }

  /** A circle among implied roles would make every role of it mean all of them. */
  #implied(tx: Tx, row: RowsOf<'implied_role'>[number]): ImportResult {
    if (!exists(tx.db, roles, row.prior_id) || !exists(tx.db, roles, row.implied_id)) return refused('one of the roles is not here')
    if (tx.db.select().from(impliedRoles).where(and(eq(impliedRoles.prior_id, row.prior_id), eq(impliedRoles.implied_id, row.implied_id))).get() !== undefined) return kept
    const seen = new Set([row.implied_id])
    for (const id of seen) for (const next of tx.db.select().from(impliedRoles).where(eq(impliedRoles.prior_id, id)).all()) seen.add(next.implied_id)
    if (seen.has(row.prior_id)) return refused('the roles would imply each other')
    tx.db.insert(impliedRoles).values(row).run()
    tx.change('implied role', `${row.prior_id}/${row.implied_id}`, 'create', null, row)
    return made
  }

  #user(tx: Tx, { passwords: given, ...row }: RowsOf<'user'>[number]): ImportResult {
    if (!this.#isDomain(row.domain_id)) return refused(`there is no domain ${row.domain_id}`)
    const result = this.#named(tx, 'user', users, row, and(eq(users.domain_id, row.domain_id), eq(users.name, row.name), eq(users.origin, 'local')), () => tx.db.insert(users).values({ ...row, failed_ms: null, active_ms: null, origin: 'local' }).run())
    if (result.outcome !== 'made') return result
    // Oldest first: the newest row is the password. A newest one of an unknown kind must not leave an older one in its place.
    const newest = given.at(-1)
    if (newest === undefined) return result
    if (!isKnownHash(newest.hash)) return { ...result, note: 'its password hash is of a kind that is not read here: an administrator must set one' }
    for (const each of given) if (isKnownHash(each.hash)) tx.db.insert(passwords).values({ ...each, user_id: row.id }).run()
    return result
  }

  #member(tx: Tx, row: RowsOf<'member'>[number]): ImportResult {
    if (!exists(tx.db, users, row.user_id) || !exists(tx.db, groups, row.group_id)) return refused('the user or the group is not here')
    if (tx.db.select().from(groupMembers).where(and(eq(groupMembers.group_id, row.group_id), eq(groupMembers.user_id, row.user_id))).get() !== undefined) return kept
    tx.db.insert(groupMembers).values(row).run()
    tx.change('group member', `${row.group_id}/${row.user_id}`, 'create', null, row)
    return made
  }

  #assignment(tx: Tx, row: RowsOf<'assignment'>[number]): ImportResult {
    if (!exists(tx.db, row.actor_type === 'user' ? users : groups, row.actor_id)) return refused(`there is no ${row.actor_type} ${row.actor_id}`)
    if (!exists(tx.db, roles, row.role_id)) return refused(`there is no role ${row.role_id}`)
    if (row.target_type === 'system' ? row.target_id !== SYSTEM_TARGET || row.inherited : tx.db.select().from(projects).where(and(eq(projects.id, row.target_id), eq(projects.is_domain, row.target_type === 'domain'))).get() === undefined) return refused(`there is no ${row.target_type} ${row.target_id}`)
    const same = and(eq(assignments.actor_type, row.actor_type), eq(assignments.actor_id, row.actor_id), eq(assignments.target_type, row.target_type), eq(assignments.target_id, row.target_id), eq(assignments.role_id, row.role_id), eq(assignments.inherited, row.inherited))
    if (tx.db.select().from(assignments).where(same).get() !== undefined) return kept
    tx.db.insert(assignments).values(row).run()
    tx.change('assignment', `${row.actor_id}/${row.target_id}/${row.role_id}`, 'create', null, row)
    return made
  }
}
