/** Users: who may log in. Passwords arrive here as hashes; see passwords/. Runs in the Identity object. */
import { type SQL, and, eq, inArray, sql } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { type Origin, groupMembers, groups, passwords, users, vouchedMembers } from '../../../schema/identity/tables.ts'
import { byIds, groupIdsOf, memberIdsOf, projectById } from '../assignments/effective.ts'
import { directoryOptions } from '../domain-config/store.ts'
import { type FederatedView, dropExpired, federatedView } from '../federation/rows.ts'
import { type ListQuery, listRows } from '../kernel/listing.ts'
import type { IdentityOptions } from '../kernel/options.ts'
import { type Page, type PageForm, pageOf } from '../kernel/pages.ts'
import { type Realm, duplicate, forbidden, invalid, notFound } from '../kernel/realm.ts'
import { Store, inTx, merged } from '../kernel/store.ts'
import { currentPassword, expiryOf, isInactive, passwordHistory } from '../passwords/rules.ts'
import { removeUserRows } from '../projects/store.ts'
import { ofUser } from '../revocations/concerned.ts'
import { userPage } from './pages.ts'
import { userView } from './views.ts'

type UserRow = typeof users.$inferSelect

/** A user as the API shows it. */
export interface UserView {
  origin: Origin
  id: string
  name: string
  domain_id: string
  enabled: boolean
  default_project_id: string | null
  options: Record<string, unknown>
  extra: Record<string, unknown>
  password_expires_ms: number | null
  /** By which identity providers it comes; absent where by none. */
  federated?: FederatedView[]
}

/** A group as one of its members has it. */
export type Membership = typeof groups.$inferSelect & { membership_expires_ms: number | null }

export interface UserSpec {
  name: string
  domain_id?: string | null
  enabled?: boolean
  default_project_id?: string | null
  options?: Record<string, unknown>
  extra?: Record<string, unknown>
}

/** When the password in force expires. */
export interface ExpiryFilter {
  op: 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte'
  at_ms: number
}

const COMPARE = { eq: '=', neq: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const
const expiring = ({ op, at_ms }: ExpiryFilter): SQL => sql`(SELECT p.expires_ms FROM passwords p WHERE p.user_id = ${users.id} ORDER BY p.seq DESC LIMIT 1) ${sql.raw(COMPARE[op])} ${at_ms}`

/** By which identity provider and protocol, and under which name there. */
export type FederatedFilter = Partial<Record<'idp_id' | 'protocol_id' | 'unique_id', string>>

function comingBy(filter: FederatedFilter): SQL | undefined {
  const parts = (['idp_id', 'protocol_id', 'unique_id'] as const).flatMap((field) => (filter[field] === undefined ? [] : [sql`f.${sql.raw(field)} = ${filter[field]}`]))
  return parts.length === 0 ? undefined : sql`${users.id} IN (SELECT f.user_id FROM federated_users f WHERE ${sql.join(parts, sql` AND `)})`
}

const conditions = (expiry: ExpiryFilter | null, federated: FederatedFilter) => [expiry === null ? undefined : expiring(expiry), comingBy(federated)]

export class Users extends Store {
  get(id: string): UserView {
    return this.#view(this.#row(id))
  }

  list(query: ListQuery, expiry: ExpiryFilter | null, federated: FederatedFilter = {}): UserView[] {
    return this.#views(listRows(this.realm.db, users, query, ...conditions(expiry, federated)))
  }

  page(query: ListQuery, expiry: ExpiryFilter | null, federated: FederatedFilter, form: PageForm): Page {
    const { db, options } = this.realm
    // Who has been away for too long is a matter of the clock too.
    const page = options.disable_user_account_days_inactive > 0 ? null : userPage(db, query, conditions(expiry, federated), form)
    return page ?? pageOf(this.list(query, expiry, federated), form, (row) => userView(row, form.root))
  }

  ofGroup(groupId: string, query: ListQuery): UserView[] {
    const { db } = this.realm
    if (db.select().from(groups).where(eq(groups.id, groupId)).get() === undefined) throw notFound('group', groupId)
    dropExpired(this.realm)
    return this.#views(byIds(memberIdsOf(db, groupId), (chunk) => listRows(db, users, query, inArray(users.id, chunk))))
  }

  groupsOf(userId: string, query: ListQuery): Membership[] {
    const { db } = this.realm
    this.#row(userId)
    dropExpired(this.realm)
    const lasting = new Set(db.select({ id: groupMembers.group_id }).from(groupMembers).where(eq(groupMembers.user_id, userId)).all().map(({ id }) => id))
    const ends = new Map(db.select({ id: vouchedMembers.group_id, expires_ms: vouchedMembers.expires_ms }).from(vouchedMembers).where(eq(vouchedMembers.user_id, userId)).all().map(({ id, expires_ms }) => [id, expires_ms]))
    const rows = byIds(groupIdsOf(db, userId), (chunk) => listRows(db, groups, query, inArray(groups.id, chunk)))
    return rows.map((row) => ({ ...row, membership_expires_ms: lasting.has(row.id) ? null : (ends.get(row.id) ?? null) }))
  }

  create(spec: UserSpec, hash: string | null): UserView {
    const { db, deps, options } = this.realm
    return inTx(this, (tx) => {
      const domainId = spec.domain_id ?? this.caller.domain_id ?? 'default'
      const domain = projectById(db, domainId)
      if (domain === undefined || !domain.is_domain) throw notFound('domain', domainId)
      if (directoryOptions(this.realm, domainId) !== null) throw readOnly()
      const row: UserRow = {
        id: deps.ids.hex(), name: spec.name, domain_id: domainId, enabled: spec.enabled ?? true, default_project_id: spec.default_project_id ?? null, options: clean(spec.options ?? {}), extra: spec.extra ?? {},
        created_ms: tx.now_ms, failed_count: 0, failed_ms: null, active_ms: null, origin: 'local',
      }
      this.#check(row)
      db.insert(users).values(row).run()
      if (hash !== null) setPassword(this.realm, tx, row, hash, firstUse(row, options) ? tx.now_ms : undefined, false)
      tx.change('user', row.id, 'create', null, shown(row))
      return this.#view(row)
    })
  }

  /** By an administrator: no history, no minimum age. A new password, being disabled or another domain ends every token of the user. */
  async update(id: string, change: Partial<UserSpec>, hash: string | null | undefined): Promise<UserView> {
    const { db, revoker, options } = this.realm
    const [row, seq] = inTx(this, (tx) => {
      const before = this.#row(id)
      if (before.origin === 'ldap') throw readOnly()
      const { options: given, domain_id, ...rest } = change
      if (domain_id != null && domain_id !== before.domain_id) throw invalid('Cannot change Domain ID')
      const row = merged(before, { ...rest, ...(given === undefined ? {} : { options: clean({ ...before.options, ...given }) }) }) as UserRow
      this.#check(row)
      const ends = (before.enabled && !row.enabled) || hash !== undefined
      if (!before.enabled && row.enabled) Object.assign(row, { failed_count: 0, failed_ms: null, active_ms: tx.now_ms })
      db.update(users).set(row).where(eq(users.id, id)).run()
      if (hash === null) db.delete(passwords).where(eq(passwords.user_id, id)).run()
      if (typeof hash === 'string') setPassword(this.realm, tx, row, hash, firstUse(row, options) ? tx.now_ms : undefined, false)
      tx.change('user', id, 'update', shown(before), shown(row))
      const impact = ofUser(db, id)
      return [this.#view(row), ends ? revoker.record(impact.refs, impact.projectIds) : 0] as const
    })
    await revoker.pushed(seq)
    return row
  }

  async delete(id: string): Promise<void> {
    const { db, revoker } = this.realm
    const seq = inTx(this, (tx) => {
      const row = this.#row(id)
      // What the directory has given up, or calls disabled, may be forgotten here.
      if (row.origin === 'ldap' && row.enabled) throw readOnly()
      const impact = ofUser(db, id)
      removeUserRows(tx, id)
      return revoker.record(impact.refs, impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  #check(row: UserRow): void {
    const { db } = this.realm
    const same = row.origin !== 'local' ? undefined : db.select({ id: users.id }).from(users).where(and(eq(users.domain_id, row.domain_id), eq(users.name, row.name), eq(users.origin, 'local'))).get()
    if (same !== undefined && same.id !== row.id) throw duplicate('user', `name ${row.name} at domain ID ${row.domain_id}`)
    if (row.default_project_id !== null && projectById(db, row.default_project_id)?.is_domain === true) throw invalid(`User's default project ID cannot be a domain ID: ${row.default_project_id}`)
  }

  #row(id: string): UserRow {
    const row = this.realm.db.select().from(users).where(eq(users.id, id)).get()
    if (row === undefined) throw notFound('user', id)
    return row
  }

  #view(row: UserRow): UserView {
    return viewOfUser(this.realm, row)
  }

  /** Many at once: their passwords by the chunk, not one by one. */
  #views(rows: UserRow[]): UserView[] {
    const { db } = this.realm
    const newest = (chunk: string[]) => db.select({ seq: sql<number>`max(${passwords.seq})` }).from(passwords).where(inArray(passwords.user_id, chunk)).groupBy(passwords.user_id)
    const current = byIds(rows.map(({ id }) => id), (chunk) => db.select({ user_id: passwords.user_id, expires_ms: passwords.expires_ms }).from(passwords).where(inArray(passwords.seq, newest(chunk))).all())
    const expiries = new Map(current.map((row) => [row.user_id, row.expires_ms]))
    return rows.map((row) => viewOfUser(this.realm, row, expiries.get(row.id) ?? null))
  }
}

export function viewOfUser(realm: Realm, row: UserRow, password_expires_ms: number | null = currentPassword(realm.db, row.id)?.expires_ms ?? null): UserView {
  const { id, name, domain_id, default_project_id, options, extra, origin } = row
  const inactive = isInactive(row, realm.options, realm.deps.clock.now_ms())
  return { origin, id, name, domain_id, enabled: row.enabled && !inactive, default_project_id, options, extra, password_expires_ms, ...(row.origin === 'federated' ? { federated: federatedView(realm.db, id) } : {}) }
}

const readOnly = () => forbidden('The users of this domain are in a directory, which is not written to.')
/** A password that an administrator set must be changed before it is of use, where the options ask for that. */
const firstUse = (row: UserRow, options: IdentityOptions) => options.change_password_upon_first_use && row.options.ignore_change_password_upon_first_use !== true
const clean = (options: Record<string, unknown>) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null))
/** For the change log: never a secret. */
const shown = ({ id, name, domain_id, enabled, default_project_id, options, extra }: UserRow) => ({ id, name, domain_id, enabled, default_project_id, options, extra })

/** A new password; older ones stay as far as the history asks for them. `expires_ms` undefined: by the options. */
export function setPassword(realm: Store['realm'], tx: Tx, row: UserRow, hash: string, expires_ms: number | null | undefined, self_service: boolean): void {
  const { db } = tx
  const kept = Math.max(0, realm.options.unique_last_password_count - 1)
  for (const old of passwordHistory(db, row.id).slice(kept)) db.delete(passwords).where(eq(passwords.seq, old.seq)).run()
  db.insert(passwords).values({ user_id: row.id, hash, created_ms: tx.now_ms, expires_ms: expires_ms === undefined ? expiryOf(row, realm.options, tx.now_ms) : expires_ms, self_service }).run()
}
