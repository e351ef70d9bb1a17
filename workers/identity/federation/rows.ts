/** Rows of federation that hang on others: what providers, users, groups and domains take with them. Used by their stores, in the Identity object. */
import { and, eq, inArray, lte, min } from 'drizzle-orm'
import type { Db, Tx } from '../../../durable-objects/kernel/deps.ts'
import { prepared } from '../../../durable-objects/kernel/prepared.ts'
import { directoryEntries, federatedUsers, federationOidc, federationProtocols, identityProviders, users, vouchedMembers } from '../../../schema/identity/tables.ts'
import { byIds } from '../assignments/effective.ts'
import type { Realm } from '../kernel/realm.ts'
import { projectsOfTokens } from '../revocations/concerned.ts'

export type ProviderRow = typeof identityProviders.$inferSelect

/** A user as upstream lists it: by which provider and protocols it comes, and what it is called there. */
export interface FederatedView {
  idp_id: string
  protocols: { protocol_id: string; unique_id: string }[]
}

export const providerById = (db: Db, id: string): ProviderRow | undefined => db.select().from(identityProviders).where(eq(identityProviders.id, id)).get()
export const federatedRowsOf = (db: Db, userId: string) => db.select().from(federatedUsers).where(eq(federatedUsers.user_id, userId)).all()
export const sourceOf = (idpId: string): string => `idp:${idpId}`

export function federatedView(db: Db, userId: string): FederatedView[] {
  const views = new Map<string, FederatedView>()
  for (const { idp_id, protocol_id, unique_id } of federatedRowsOf(db, userId)) {
    const view = views.get(idp_id) ?? { idp_id, protocols: [] }
    view.protocols.push({ protocol_id, unique_id })
    views.set(idp_id, view)
  }
  return [...views.values()]
}

/** Everywhere that tokens of a provider's users may be in use. */
export function projectsOfProvider(db: Db, idpId: string): string[] {
  const userIds = new Set(db.select({ user_id: federatedUsers.user_id }).from(federatedUsers).where(eq(federatedUsers.idp_id, idpId)).all().map((row) => row.user_id))
  return [...new Set([...userIds].flatMap((id) => projectsOfTokens(db, id)))]
}

/** Unlinks users from a provider (or from one protocol of it); answers those that nobody else vouches for. */
export function unlink(tx: Tx, idpId: string, protocolId?: string): string[] {
  const { db } = tx
  const where = and(eq(federatedUsers.idp_id, idpId), protocolId === undefined ? undefined : eq(federatedUsers.protocol_id, protocolId))
  const userIds = [...new Set(db.select({ user_id: federatedUsers.user_id }).from(federatedUsers).where(where).all().map((row) => row.user_id))]
  db.delete(federatedUsers).where(where).run()
  const left = new Set(byIds(userIds, (chunk) => db.select({ id: federatedUsers.user_id }).from(federatedUsers).where(inArray(federatedUsers.user_id, chunk)).all()).map((row) => row.id))
  const federated = byIds(userIds, (chunk) => db.select({ id: users.id, origin: users.origin }).from(users).where(inArray(users.id, chunk)).all()).filter((row) => row.origin === 'federated')
  return federated.map((row) => row.id).filter((id) => !left.has(id))
}

export function removeProviderRows(tx: Tx, idpId: string): void {
  const { db } = tx
  db.delete(federationOidc).where(eq(federationOidc.idp_id, idpId)).run()
  db.delete(federationProtocols).where(eq(federationProtocols.idp_id, idpId)).run()
  db.delete(federatedUsers).where(eq(federatedUsers.idp_id, idpId)).run()
  db.delete(vouchedMembers).where(eq(vouchedMembers.source, sourceOf(idpId))).run()
  db.delete(identityProviders).where(eq(identityProviders.id, idpId)).run()
}

export function removeProvidersOfDomain(tx: Tx, domainId: string): void {
  for (const { id } of tx.db.select({ id: identityProviders.id }).from(identityProviders).where(eq(identityProviders.domain_id, domainId)).all()) removeProviderRows(tx, id)
}

export function removeVouchedUser(tx: Tx, userId: string): void {
  tx.db.delete(federatedUsers).where(eq(federatedUsers.user_id, userId)).run()
  tx.db.delete(vouchedMembers).where(eq(vouchedMembers.user_id, userId)).run()
  tx.db.delete(directoryEntries).where(eq(directoryEntries.public_id, userId)).run()
}

export function removeVouchedGroup(tx: Tx, groupId: string): void {
  tx.db.delete(vouchedMembers).where(eq(vouchedMembers.group_id, groupId)).run()
  tx.db.delete(directoryEntries).where(eq(directoryEntries.public_id, groupId)).run()
}

/** When the first membership that somebody vouched for ends. */
export const firstEnd = prepared((db) => db.select({ at: min(vouchedMembers.expires_ms) }).from(vouchedMembers).prepare())
/** Memberships whose time is over. Asked before roles are read; costs nothing where none is. */
export function dropExpired(realm: Pick<Realm, 'deps'>): void {
  const { db, clock } = realm.deps
  const now = clock.now_ms()
  const due = firstEnd(db).get()?.at ?? null
  if (due !== null && due <= now) db.delete(vouchedMembers).where(lte(vouchedMembers.expires_ms, now)).run()
}
