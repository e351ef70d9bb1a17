/** Application credentials: a user's own delegation to a program, on one project, with a part of its roles; and their access rules. Runs in the Identity object. */
import { and, eq } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { accessRules, applicationCredentials } from '../../../schema/identity/tables.ts'
import { type RoleRow, projectById, rolesByIds } from '../assignments/effective.ts'
import { type ListQuery, listRows } from '../kernel/listing.ts'
import { duplicate, forbidden, inThePast, invalid, notFound } from '../kernel/realm.ts'
import { forbidDelegated } from '../kernel/delegation.ts'
import { Store, inTx } from '../kernel/store.ts'
import { callersRoles } from '../roles/own.ts'

type Row = typeof applicationCredentials.$inferSelect
export type AccessRuleRow = typeof accessRules.$inferSelect

/** A row with what it refers to. */
export interface AppCred extends Omit<Row, 'secret_hash' | 'role_ids' | 'access_rule_ids'> {
  roles: RoleRow[]
  access_rules: AccessRuleRow[] | null
}

export interface AppCredSpec {
  name: string
  description: string | null
  expires_us: number | null
  unrestricted: boolean
  roles: { id?: string; name?: string }[] | null
  access_rules: { id?: string; service?: string; method?: string; path?: string }[] | null
}

/** The rules in the words that services compare; a credential that is gone, or has an empty list, allows nothing. */
export function accessRulesOf(db: Db, appCredId: string): { service: string; method: string; path: string }[] {
  const row = db.select({ ids: applicationCredentials.access_rule_ids }).from(applicationCredentials).where(eq(applicationCredentials.id, appCredId)).get()
  const ids = row?.ids ?? []
  return ids.flatMap((id) => db.select({ service: accessRules.service, method: accessRules.method, path: accessRules.path }).from(accessRules).where(eq(accessRules.id, id)).all())
}

export class ApplicationCredentials extends Store {
  get(userId: string, id: string): AppCred {
    this.#undelegated()
    return this.#full(this.#row(userId, id))
  }

  list(userId: string, query: ListQuery): AppCred[] {
    this.#undelegated()
    return listRows(this.realm.db, applicationCredentials, query, eq(applicationCredentials.user_id, userId)).map((row) => this.#full(row))
  }

  /** For the caller itself, with no more than the roles of its token. */
  create(spec: AppCredSpec, secret_hash: string): AppCred {
    const { db, deps, options } = this.realm
    const { user_id, project_id } = this.caller
    if (project_id === null || projectById(db, project_id) === undefined) throw invalid('An application credential needs a project-scoped token.')
    this.mayManage()
    return inTx(this, (tx) => {
      if (spec.expires_us !== null && spec.expires_us <= tx.now_ms * 1000) throw inThePast()
      const mine = db.select().from(applicationCredentials).where(eq(applicationCredentials.user_id, user_id)).all()
      if (mine.some((row) => row.name === spec.name)) throw duplicate('application_credential', `name ${spec.name}`)
      if (options.user_app_cred_limit > 0 && mine.length >= options.user_app_cred_limit) throw forbidden(`Unable to create additional application credentials, maximum of ${options.user_app_cred_limit} already exceeded for user.`)
      const held = callersRoles(this.realm, this.caller)
      const wanted = spec.roles === null ? held : spec.roles.map((ref) => {
        const role = held.find(({ id, name }) => (ref.id === undefined ? name === ref.name : id === ref.id))
        if (role === undefined) throw invalid(`Invalid application credential: ${user_id} has no role ${ref.id ?? ref.name} on project ${project_id}.`)
        return role
      })
      const row: Row = {
        id: deps.ids.hex(), user_id, project_id, name: spec.name, description: spec.description, secret_hash, expires_us: spec.expires_us, unrestricted: spec.unrestricted, system: false,
        role_ids: wanted.map((role) => role.id), access_rule_ids: spec.access_rules === null ? null : spec.access_rules.map((rule) => this.#rule(rule)),
      }
      db.insert(applicationCredentials).values(row).run()
      const { secret_hash: _secret, ...shown } = row
      tx.change('application credential', row.id, 'create', null, shown)
      return this.#full(row)
    })
  }

  async delete(userId: string, id: string): Promise<void> {
    const { revoker } = this.realm
    this.mayManage()
    const seq = inTx(this, (tx) => {
      const { project_id, name } = this.#row(userId, id)
      tx.db.delete(applicationCredentials).where(eq(applicationCredentials.id, id)).run()
      tx.change('application credential', id, 'delete', { user_id: userId, project_id, name }, null)
      return revoker.record([{ scope: 'app_cred', subject: id }], [project_id])
    })
    await revoker.pushed(seq)
  }

  accessRules(userId: string, query: ListQuery): AccessRuleRow[] {
    this.#undelegated()
    return listRows(this.realm.db, accessRules, query, eq(accessRules.user_id, userId))
  }

  accessRule(userId: string, id: string): AccessRuleRow {
    this.#undelegated()
    const row = this.realm.db.select().from(accessRules).where(and(eq(accessRules.id, id), eq(accessRules.user_id, userId))).get()
    if (row === undefined) throw notFound('access rule', id)
    return row
  }

  deleteAccessRule(userId: string, id: string): void {
    inTx(this, (tx) => {
      const row = this.accessRule(userId, id)
      const users = this.realm.db.select().from(applicationCredentials).where(eq(applicationCredentials.user_id, userId)).all()
      if (users.some((each) => each.access_rule_ids?.includes(id))) throw forbidden(`Unable to delete access rule ${id}: it is in use by an application credential.`)
      tx.db.delete(accessRules).where(eq(accessRules.id, id)).run()
      tx.change('access rule', id, 'delete', row, null)
    })
  }

  /** A restricted application credential manages neither its like nor trusts. */
  mayManage(): void {
    this.#undelegated()
    if (!this.caller.app_cred_id) return
    const row = this.realm.db.select().from(applicationCredentials).where(eq(applicationCredentials.id, this.caller.app_cred_id)).get()
    if (row?.unrestricted !== true) throw forbidden('Using method "application_credential" is not allowed for managing additional application credentials.')
  }

  /** Application credentials have their own rule: `mayManage`. */
  #undelegated(): void {
    forbidDelegated(this.caller, 'manage application credentials', ['application credential'])
  }

  /** An access rule by id, or the user's rule of the same words, made where it is new. */
  #rule(rule: { id?: string; service?: string; method?: string; path?: string }): string {
    const { user_id } = this.caller
    if (rule.id !== undefined) return this.accessRule(user_id, rule.id).id
    const { service = '', method = '', path = '' } = rule
    const { db } = this.realm
    const found = db.select().from(accessRules).where(and(eq(accessRules.user_id, user_id), eq(accessRules.service, service), eq(accessRules.method, method), eq(accessRules.path, path))).get()
    if (found !== undefined) return found.id
    const id = this.realm.deps.ids.hex()
    db.insert(accessRules).values({ id, user_id, service, method, path }).run()
    return id
  }

  #row(userId: string, id: string): Row {
    const row = this.realm.db.select().from(applicationCredentials).where(and(eq(applicationCredentials.id, id), eq(applicationCredentials.user_id, userId))).get()
    if (row === undefined) throw notFound('application credential', id)
    return row
  }

  #full({ secret_hash: _secret, role_ids, access_rule_ids, ...row }: Row): AppCred {
    return { ...row, roles: rolesByIds(this.realm.db, role_ids), access_rules: access_rule_ids === null ? null : access_rule_ids.map((id) => this.accessRule(row.user_id, id)) }
  }
}
