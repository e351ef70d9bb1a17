/** Protocols of identity providers: which mapping judges what comes by them, and how OpenID Connect tokens are verified. Runs in the Identity object. */
import { and, eq } from 'drizzle-orm'
import { federationOidc, federationProtocols, mappings } from '../../../../schema/identity/tables.ts'
import { duplicate, invalid, notFound } from '../../kernel/realm.ts'
import { Store, exists, inTx, merged } from '../../kernel/store.ts'
import { removeUserRows } from '../../projects/store.ts'
import { projectsOfProvider, providerById, unlink } from '../rows.ts'
import type { OidcSpec } from './requests.ts'

export type ProtocolRow = typeof federationProtocols.$inferSelect
export type OidcConfig = Omit<OidcSpec, 'client_secret' | 'audiences'> & { audiences: string[] }

/** What the client's secret is bound to where it is sealed. */
export const oidcSecretRow = (idpId: string, id: string): string => `federation_oidc/${idpId}/${id}`

export class Protocols extends Store {
  get(idpId: string, id: string): ProtocolRow {
    this.#provider(idpId)
    const row = this.realm.db.select().from(federationProtocols).where(and(eq(federationProtocols.idp_id, idpId), eq(federationProtocols.id, id))).get()
    if (row === undefined) throw notFound(`federated protocol ${id} for Identity Provider`, idpId)
    return row
  }

  list(idpId: string): ProtocolRow[] {
    this.#provider(idpId)
    return this.realm.db.select().from(federationProtocols).where(eq(federationProtocols.idp_id, idpId)).all()
  }

  create(idpId: string, id: string, spec: { mapping_id: string; remote_id_attribute?: string | null }): ProtocolRow {
    return inTx(this, (tx) => {
      const row: ProtocolRow = { idp_id: idpId, id, mapping_id: spec.mapping_id, remote_id_attribute: spec.remote_id_attribute ?? null }
      this.#check(row)
      if (this.list(idpId).some((other) => other.id === id)) throw duplicate('federation_protocol', `ID ${id}`)
      tx.db.insert(federationProtocols).values(row).run()
      tx.change('protocol', `${idpId}/${id}`, 'create', null, row)
      return row
    })
  }

  update(idpId: string, id: string, change: Partial<Pick<ProtocolRow, 'mapping_id' | 'remote_id_attribute'>>): ProtocolRow {
    return inTx(this, (tx) => {
      const before = this.get(idpId, id)
      const row = merged<ProtocolRow>(before, change)
      this.#check(row)
      tx.db.update(federationProtocols).set(row).where(and(eq(federationProtocols.idp_id, idpId), eq(federationProtocols.id, id))).run()
      tx.change('protocol', `${idpId}/${id}`, 'update', before, row)
      return row
    })
  }

  /** With the users that only it led here. The provider's tokens end: which protocol a token came by is no reason to trust it longer. */
  async delete(idpId: string, id: string): Promise<void> {
    const { db, revoker } = this.realm
    const seq = inTx(this, (tx) => {
      const row = this.get(idpId, id)
      const projectIds = projectsOfProvider(db, idpId)
      const orphans = unlink(tx, idpId, id)
      db.delete(federationOidc).where(and(eq(federationOidc.idp_id, idpId), eq(federationOidc.protocol_id, id))).run()
      db.delete(federationProtocols).where(and(eq(federationProtocols.idp_id, idpId), eq(federationProtocols.id, id))).run()
      for (const user of orphans) removeUserRows(tx, user)
      tx.change('protocol', `${idpId}/${id}`, 'delete', row, null)
      return revoker.record([{ scope: 'idp', subject: idpId }], projectIds)
    })
    await revoker.pushed(seq)
  }

  /** Without the secret. */
  oidc(idpId: string, id: string): OidcConfig {
    this.get(idpId, id)
    const row = this.realm.db.select({ config: federationOidc.config }).from(federationOidc).where(and(eq(federationOidc.idp_id, idpId), eq(federationOidc.protocol_id, id))).get()
    if (row === undefined) throw notFound(`OpenID Connect configuration of Identity Provider ${idpId} for protocol`, id)
    return row.config as unknown as OidcConfig
  }

  /** A secret that is not given stays; null removes it. */
  setOidc(idpId: string, id: string, spec: OidcSpec): OidcConfig {
    const { client_secret, ...config } = spec
    return inTx(this, (tx) => {
      this.get(idpId, id)
      const where = and(eq(federationOidc.idp_id, idpId), eq(federationOidc.protocol_id, id))
      const before = tx.db.select({ text: federationOidc.client_secret, sealed: federationOidc.sealed }).from(federationOidc).where(where).get()
      const secret = client_secret == null ? { text: null, sealed: null } : this.realm.vault.seal(client_secret, oidcSecretRow(idpId, id))
      const { text, sealed } = client_secret === undefined && before !== undefined ? before : secret
      const kept = { ...config, audiences: config.audiences ?? [config.client_id] }
      const row = { idp_id: idpId, protocol_id: id, config: kept, client_secret: text, sealed }
      tx.db.delete(federationOidc).where(where).run()
      tx.db.insert(federationOidc).values(row).run()
      tx.change('protocol oidc', `${idpId}/${id}`, before === undefined ? 'create' : 'update', null, kept)
      return kept
    })
  }

  deleteOidc(idpId: string, id: string): void {
    inTx(this, (tx) => {
      this.oidc(idpId, id)
      tx.db.delete(federationOidc).where(and(eq(federationOidc.idp_id, idpId), eq(federationOidc.protocol_id, id))).run()
      tx.change('protocol oidc', `${idpId}/${id}`, 'delete', {}, null)
    })
  }

  #check(row: ProtocolRow): void {
    if (!exists(this.realm.db, mappings, row.mapping_id)) throw invalid(`Invalid mapping id: ${row.mapping_id}`)
  }

  #provider(id: string): void {
    if (providerById(this.realm.db, id) === undefined) throw notFound('Identity Provider', id)
  }
}
