/** Trusts: a user lets another act with part of its roles on a project, for a time or a number of uses. Runs in the Identity object. */
import { and, eq, isNull } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { applicationCredentials, projects, trusts, users } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type RoleRow, rolesByIds } from '../assignments/effective.ts'
import { forbidden, inThePast, invalid, notFound } from '../kernel/realm.ts'
import { forbidDelegated } from '../kernel/delegation.ts'
import { Store, exists, inTx } from '../kernel/store.ts'
import type { RevocationRef } from '../revocations/revoker.ts'
import { callersRoles } from '../roles/own.ts'

type Row = typeof trusts.$inferSelect

export interface Trust extends Omit<Row, 'role_ids'> {
  roles: RoleRow[]
}

export interface TrustSpec {
  trustor_user_id: string
  trustee_user_id: string
  project_id: string | null
  impersonation: boolean
  roles: { id?: string; name?: string }[]
  expires_us: number | null
  remaining_uses: number | null
  allow_redelegation: boolean
  redelegation_count: number | null
  extra: Record<string, unknown>
}

export class Trusts extends Store {
  get(id: string): Trust {
    return this.#full(this.#row(id))
  }

  list(filter: { trustor_user_id: string | null; trustee_user_id: string | null }): Trust[] {
    const { db, deps } = this.realm
    const now = deps.clock.now_ms() * 1000
    const rows = db.select().from(trusts).where(and(
      isNull(trusts.deleted_ms), filter.trustor_user_id === null ? undefined : eq(trusts.trustor_user_id, filter.trustor_user_id), filter.trustee_user_id === null ? undefined : eq(trusts.trustee_user_id, filter.trustee_user_id),
    )).all()
    return rows.filter((row) => row.expires_us === null || row.expires_us > now).map((row) => this.#full(row))
  }

  /** By the trustor itself; with a trust-scoped token, a redelegation of that trust. */
  create(spec: TrustSpec): Trust {
    const { db, deps, options } = this.realm
    const { app_cred_id } = this.caller
    forbidDelegated(this.caller, 'manage trusts', ['trust', 'application credential'])
    if (app_cred_id && db.select().from(applicationCredentials).where(eq(applicationCredentials.id, app_cred_id)).get()?.unrestricted !== true) throw forbidden('Using method "application_credential" is not allowed for managing trusts.')
    return inTx(this, (tx) => {
      if (!exists(db, users, spec.trustee_user_id)) throw notFound('user', spec.trustee_user_id)
      if (spec.project_id !== null && !exists(db, projects, spec.project_id)) throw notFound('project', spec.project_id)
      if (spec.project_id !== null && spec.roles.length === 0) throw forbidden('At least one role should be specified.')
      if (spec.project_id === null && spec.roles.length > 0) throw invalid('Roles are given on a project: this trust has none.')
      if (spec.expires_us !== null && spec.expires_us <= tx.now_ms * 1000) throw inThePast()
      if (spec.remaining_uses !== null && spec.allow_redelegation) throw invalid('remaining_uses must not be set if redelegation is allowed')
      const parent = this.caller.trust_id ? this.#row(this.caller.trust_id) : null
      const row: Row = {
        id: deps.ids.hex(), trustor_user_id: spec.trustor_user_id, trustee_user_id: spec.trustee_user_id, project_id: spec.project_id, impersonation: spec.impersonation, expires_us: spec.expires_us,
        remaining_uses: spec.remaining_uses, deleted_ms: null, redelegated_trust_id: parent?.id ?? null, allow_redelegation: spec.allow_redelegation,
        redelegation_count: spec.allow_redelegation ? this.#depth(spec, options.max_redelegation_count) : 0, role_ids: this.#roles(spec), extra: spec.extra,
      }
      if (parent !== null) this.#redelegate(row, parent, spec)
      db.insert(trusts).values(row).run()
      tx.change('trust', row.id, 'create', null, row)
      return this.#full(row)
    })
  }

  /** With all that were redelegated from it; tokens of any of them end. */
  async delete(id: string): Promise<void> {
    const { revoker } = this.realm
    forbidDelegated(this.caller, 'manage trusts', ['trust', 'application credential'])
    const seq = inTx(this, (tx) => {
      const gone = this.#remove(tx, this.#row(id))
      return revoker.record(gone.map((row): RevocationRef => ({ scope: 'trust', subject: row.id })), gone.flatMap((row) => (row.project_id === null ? [] : [row.project_id])))
    })
    await revoker.pushed(seq)
  }

  #remove(tx: Tx, row: Row): Row[] {
    tx.db.update(trusts).set({ deleted_ms: tx.now_ms }).where(eq(trusts.id, row.id)).run()
    tx.change('trust', row.id, 'delete', row, null)
    const below = tx.db.select().from(trusts).where(and(eq(trusts.redelegated_trust_id, row.id), isNull(trusts.deleted_ms))).all()
    return [row, ...below.flatMap((each) => this.#remove(tx, each))]
  }

  #depth(spec: TrustSpec, max: number): number {
    const count = spec.redelegation_count ?? max
    if (count > max) throw forbidden(`Requested redelegation depth of ${count} is greater than allowed ${max}`)
    return count
  }

  #redelegate(row: Row, parent: Row, spec: TrustSpec): void {
    if (!parent.allow_redelegation || parent.redelegation_count <= 0) throw forbidden('Remaining redelegation depth of 0 out of allowed range')
    if (row.project_id !== parent.project_id) throw forbidden('A redelegated trust is for the same project.')
    if (spec.impersonation && !parent.impersonation) throw forbidden(`Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated trust id: ${parent.id}`)
    if (row.role_ids.some((id) => !parent.role_ids.includes(id))) throw forbidden('Some of requested roles are not in redelegated trust')
    if (parent.expires_us !== null && (row.expires_us === null || row.expires_us > parent.expires_us)) throw forbidden('Requested expiration time is more than redelegated trust can provide')
    const left = parent.redelegation_count - 1
    if (spec.redelegation_count !== null && spec.redelegation_count > left) throw forbidden(`Requested redelegation depth of ${spec.redelegation_count} is greater than allowed ${left}`)
    row.redelegation_count = row.allow_redelegation ? Math.min(row.redelegation_count, left) : 0
  }

  /** Roles by id or name, each one that the trustor holds now. */
  #roles(spec: TrustSpec): string[] {
    if (spec.project_id === null) return []
    if (this.caller.project_id !== spec.project_id) throw forbidden('A trust is for the project of the token that makes it.')
    const held = callersRoles(this.realm, this.caller)
    return spec.roles.map((ref) => {
      const role = held.find(({ id, name }) => (ref.id === undefined ? name === ref.name : id === ref.id))
      if (role === undefined) throw new Fault('forbidden', `Could not find role ${ref.id ?? ref.name} among those of the trustor.`)
      return role.id
    })
  }

  #row(id: string): Row {
    const row = this.realm.db.select().from(trusts).where(and(eq(trusts.id, id), isNull(trusts.deleted_ms))).get()
    if (row === undefined || (row.expires_us !== null && row.expires_us <= this.realm.deps.clock.now_ms() * 1000)) throw notFound('trust', id)
    return row
  }

  #full({ role_ids, ...row }: Row): Trust {
    return { ...row, roles: rolesByIds(this.realm.db, role_ids) }
  }
}
