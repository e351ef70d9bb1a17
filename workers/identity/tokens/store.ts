/** Tokens as a caller with a token sees them: validate, revoke, and what its user may be scoped to. Runs in the Identity object. */
import { RpcTarget } from 'cloudflare:workers'
import { inArray } from 'drizzle-orm'
import { projects } from '../../../schema/identity/tables.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { importPublicKey, tokenKeyId, verifyToken } from '../../../schema/values/token.ts'
import { type AssignmentRow, type ProjectRow, SYSTEM_TARGET, assignedRoleIds, byIds, domainIdsOfUser, givingAssignmentsOf, projectIdsOfUser } from '../assignments/effective.ts'
import type { CatalogService } from '../catalog/catalog.ts'
import { type Realm, commit, notFound } from '../kernel/realm.ts'

export class Tokens extends RpcTarget {
  #realm: Realm
  #caller: Caller
  constructor(realm: Realm, caller: Caller) {
    super()
    this.#realm = realm
    this.#caller = caller
  }

  /** The claims of a token whose signature holds, expired or not. */
  async claimsOf(token: string): Promise<Caller> {
    const kid = tokenKeyId(token)
    const key = kid === null ? undefined : (await this.#realm.keys.published()).find((published) => published.kid === kid)
    const claims = key === undefined ? null : await verifyToken(token, await importPublicKey(key))
    if (claims === null) throw notFound('token', '')
    return { ...claims, request_id: this.#caller.request_id }
  }

  async revoke(subject: Caller): Promise<void> {
    const { revoker } = this.#realm
    const [own] = subject.audit_ids
    if (own === undefined) return
    const seq = commit(this.#realm, this.#caller, (tx) => {
      tx.change('token', own, 'delete', { user_id: subject.user_id }, null)
      return revoker.record([{ scope: 'audit', subject: own }], subject.project_id === null ? [] : [subject.project_id])
    })
    await revoker.pushed(seq)
  }

  catalog(): CatalogService[] {
    return this.#realm.catalog.of(this.#caller.project_id)
  }

  /** Enabled projects that the caller's user may be scoped to. */
  myProjects(): ProjectRow[] {
    return this.#live(projectIdsOfUser(this.#realm.db, this.#caller.user_id, this.#giving())).filter((project) => !project.is_domain)
  }

  myDomains(): ProjectRow[] {
    return this.#live(domainIdsOfUser(this.#giving())).filter((project) => project.is_domain)
  }

  mySystem(): { all: boolean }[] {
    return assignedRoleIds(this.#realm.db, this.#caller.user_id, { type: 'system', id: SYSTEM_TARGET }).length > 0 ? [{ all: true }] : []
  }

  #giving(): AssignmentRow[] {
    return givingAssignmentsOf(this.#realm.db, this.#caller.user_id)
  }

  #live(ids: Iterable<string>): ProjectRow[] {
    const rows = byIds(ids, (chunk) => this.#realm.db.select().from(projects).where(inArray(projects.id, chunk)).all())
    return rows.filter((row) => row.enabled).sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}
