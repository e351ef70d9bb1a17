/** Identity providers: who may vouch for users, and the domain those are in. Disabling or deleting one ends the tokens of its users. Runs in the Identity object. */
import { eq } from 'drizzle-orm'
import { identityProviders, projects } from '../../../../schema/identity/tables.ts'
import { projectById } from '../../assignments/effective.ts'
import { type ListQuery, listRows } from '../../kernel/listing.ts'
import { duplicate, notFound } from '../../kernel/realm.ts'
import { Store, exists, inTx, merged } from '../../kernel/store.ts'
import { removeUserRows } from '../../projects/store.ts'
import { type ProviderRow, projectsOfProvider, providerById, removeProviderRows, unlink } from '../rows.ts'

export interface ProviderSpec {
  enabled?: boolean
  description?: string | null
  authorization_ttl?: number | null
  remote_ids?: string[] | null
  domain_id?: string | null
}

export class IdentityProviders extends Store {
  get(id: string): ProviderRow {
    const row = providerById(this.realm.db, id)
    if (row === undefined) throw notFound('Identity Provider', id)
    return row
  }

  list(query: ListQuery): ProviderRow[] {
    return listRows(this.realm.db, identityProviders, query)
  }

  create(id: string, spec: ProviderSpec): ProviderRow {
    const { db } = this.realm
    return inTx(this, (tx) => {
      if (exists(db, identityProviders, id)) throw duplicate('identity_provider', `ID ${id}`)
      const row: ProviderRow = {
        id, domain_id: spec.domain_id ?? '', enabled: spec.enabled ?? false, description: spec.description ?? null, authorization_ttl: spec.authorization_ttl ?? null, remote_ids: spec.remote_ids ?? [],
      }
      if (row.domain_id === '') row.domain_id = this.#domainFor(id)
      else if (projectById(db, row.domain_id)?.is_domain !== true) throw notFound('domain', row.domain_id)
      this.#unique(row)
      tx.db.insert(identityProviders).values(row).run()
      tx.change('identity provider', id, 'create', null, row)
      return row
    })
  }

  async update(id: string, change: ProviderSpec): Promise<ProviderRow> {
    const { db, revoker } = this.realm
    const [row, seq] = inTx(this, (tx) => {
      const before = this.get(id)
      const { remote_ids, ...rest } = change
      const row = merged<ProviderRow>(before, { ...(rest as Partial<ProviderRow>), ...(remote_ids === undefined ? {} : { remote_ids: remote_ids ?? [] }) })
      this.#unique(row)
      tx.db.update(identityProviders).set(row).where(eq(identityProviders.id, id)).run()
      tx.change('identity provider', id, 'update', before, row)
      return [row, before.enabled && !row.enabled ? revoker.record([{ scope: 'idp', subject: id }], projectsOfProvider(db, id)) : 0] as const
    })
    await revoker.pushed(seq)
    return row
  }

  /** With its protocols and the users that only it vouched for. Its domain stays. */
  async delete(id: string): Promise<void> {
    const { db, revoker } = this.realm
    const seq = inTx(this, (tx) => {
      const row = this.get(id)
      const projectIds = projectsOfProvider(db, id)
      const orphans = unlink(tx, id)
      removeProviderRows(tx, id)
      for (const user of orphans) removeUserRows(tx, user)
      tx.change('identity provider', id, 'delete', row, null)
      return revoker.record([{ scope: 'idp', subject: id }], projectIds)
    })
    await revoker.pushed(seq)
  }

  /** A domain of its own, named after the provider. */
  #domainFor(idpId: string): string {
    const { db, deps } = this.realm
    const same = db.select().from(projects).where(eq(projects.name, idpId)).all().find((row) => row.is_domain)
    if (same !== undefined) throw duplicate('domain', `name ${idpId}`)
    const id = deps.ids.hex()
    db.insert(projects).values({ id, name: idpId, domain_id: '', parent_id: null, is_domain: true, enabled: true, description: `Auto generated federated domain for Identity Provider: ${idpId}`, tags: [], options: {}, extra: {} }).run()
    return id
  }

  /** A remote id leads to one provider. */
  #unique(row: ProviderRow): void {
    const taken = new Set(this.realm.db.select().from(identityProviders).all().filter((other) => other.id !== row.id).flatMap((other) => other.remote_ids))
    const twice = row.remote_ids.find((id) => taken.has(id))
    if (twice !== undefined) throw duplicate('identity_provider', `remote ID ${twice}`)
  }
}
