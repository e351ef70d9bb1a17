/**
 * What this cloud remembers of users and groups that a directory has: a shadow row each, so that roles can be given to them, made when the directory first spoke of them and brought up to date each
 * time it speaks. Nothing here asks the directory: the Worker does (client.ts). Runs in the Identity object.
 */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { directoryEntries, groups, users } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { directoryOptions } from '../domain-config/store.ts'
import { publicId } from '../federation/public-id.ts'
import { vouch } from '../federation/memberships.ts'
import type { GroupRow } from '../groups/store.ts'
import { type Realm, commit } from '../kernel/realm.ts'
import { ofUser } from '../revocations/concerned.ts'
import { Issuer } from '../tokens/issue.ts'
import type { NameRef } from '../tokens/scope.ts'
import { type UserView, viewOfUser } from '../users/store.ts'
import type { SeenGroup, SeenUser } from './entries.ts'

export interface DirectoryDomain {
  domain_id: string
  /** 'ldap', or something that nobody here is. */
  driver: string
  options: Record<string, unknown>
  list_limit: unknown
}

/** Somebody in a directory, by what it is called there. */
export interface DirectoryRef extends DirectoryDomain {
  by: { local_id: string } | { name: string }
}

type UserRow = typeof users.$inferSelect
export const directorySource = (domainId: string): string => `ldap:${domainId}`

export function directoryDomain(realm: Realm, domainId: string): DirectoryDomain | null {
  const found = directoryOptions(realm, domainId)
  return found === null ? null : { domain_id: domainId, ...found }
}

/** Where to ask about an id that a directory vouches for; null for one of our own. */
export function directoryRef(realm: Realm, publicId: string): DirectoryRef | null {
  const entry = realm.db.select().from(directoryEntries).where(eq(directoryEntries.public_id, publicId)).get()
  if (entry === undefined) return null
  const domain = directoryDomain(realm, entry.domain_id) ?? { domain_id: entry.domain_id, driver: 'none', options: {}, list_limit: null }
  return { ...domain, by: { local_id: entry.local_id } }
}

/** Who a login names, where a directory must be asked about its password. */
export function directoryLogin(realm: Realm, ref: NameRef): DirectoryRef | null {
  if (ref.id !== undefined) return directoryRef(realm, ref.id)
  const domain = new Issuer(realm).findDomain(ref.domain ?? {})
  const directory = domain === undefined ? null : directoryDomain(realm, domain.id)
  return directory === null ? null : { ...directory, by: { name: ref.name ?? '' } }
}

export class Directories extends RpcTarget {
  #realm: Realm
  constructor(realm: Realm) {
    super()
    this.#realm = realm
  }

  domain(domainId: string): DirectoryDomain | null {
    return directoryDomain(this.#realm, domainId)
  }

  ref(publicId: string): DirectoryRef | null {
    return directoryRef(this.#realm, publicId)
  }

  /** DNs and ids of what is known by these ids. */
  entry(publicId: string): { local_id: string; dn: string } | null {
    return this.#realm.db.select({ local_id: directoryEntries.local_id, dn: directoryEntries.dn }).from(directoryEntries).where(eq(directoryEntries.public_id, publicId)).get() ?? null
  }

  /** Users as the directory gave them just now. One that it calls disabled loses its tokens. */
  async sawUsers(domainId: string, seen: SeenUser[], request_id: string): Promise<UserView[]> {
    const { revoker } = this.#realm
    const [rows, seq] = commit(this.#realm, { request_id, user_id: directorySource(domainId) }, (tx) => {
      const impacts: { refs: Parameters<typeof revoker.record>[0]; projectIds: string[] }[] = []
      const kept = seen.flatMap((user) => {
        const found = this.#keepUser(tx, domainId, user)
        if (found?.ended) impacts.push(ofUser(tx.db, found.row.id))
        return found === null ? [] : [found.row]
      })
      return [kept, revoker.record(impacts.flatMap(({ refs }) => refs), impacts.flatMap(({ projectIds }) => projectIds))] as const
    })
    await revoker.pushed(seq)
    return rows.map((row) => viewOfUser(this.#realm, row))
  }

  sawGroups(domainId: string, seen: SeenGroup[], request_id: string): GroupRow[] {
    return commit(this.#realm, { request_id, user_id: directorySource(domainId) }, (tx) => seen.map((group) => this.#keepGroup(tx, domainId, group)))
  }

  /** A user that the directory no longer has: its shadow stays, disabled, and its tokens end. Deleting is the administrator's. */
  async gone(publicId: string, request_id: string): Promise<void> {
    const { db, revoker } = this.#realm
    const row = db.select().from(users).where(and(eq(users.id, publicId), eq(users.origin, 'ldap'))).get()
    if (row?.enabled !== true) return
    const seq = commit(this.#realm, { request_id, user_id: directorySource(row.domain_id) }, (tx) => {
      tx.db.update(users).set({ enabled: false }).where(eq(users.id, publicId)).run()
      tx.change('user', publicId, 'update', { enabled: true }, { enabled: false })
      const impact = ofUser(tx.db, publicId)
      return revoker.record(impact.refs, impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  /** A user that the directory has just vouched for, with the groups it is in. Answers the user's id. */
  async entered(domainId: string, user: SeenUser, groups: SeenGroup[], request_id: string): Promise<string> {
    const [view] = await this.sawUsers(domainId, [user], request_id)
    const wanted = new Set(this.sawGroups(domainId, groups, request_id).map((row) => row.id))
    if (view === undefined) throw new Fault('unauthorized', 'The request you have made requires authentication.')
    const { id } = view
    const seq = commit(this.#realm, { request_id, user_id: directorySource(domainId) }, (tx) => vouch(this.#realm, tx, { user_id: id, source: directorySource(domainId), wanted, ttl_ms: 0 }))
    await this.#realm.revoker.pushed(seq)
    return id
  }

  #keepUser(tx: Tx, domain_id: string, seen: SeenUser): { row: UserRow; ended: boolean } | null {
    const { db } = tx
    const id = publicId(domain_id, 'user', seen.local_id)
    const before = db.select().from(users).where(eq(users.id, id)).get()
    // Somebody whom an identity provider vouches for is not the directory's to speak of, whatever it is called.
    if (before !== undefined && before.origin !== 'ldap') return null
    this.#keepEntry(tx, id, domain_id, 'user', seen)
    const said = { name: seen.name, enabled: seen.enabled, default_project_id: seen.default_project_id, extra: seen.extra }
    if (before === undefined) {
      const row: UserRow = { id, ...said, domain_id, options: {}, created_ms: tx.now_ms, failed_count: 0, failed_ms: null, active_ms: null, origin: 'ldap' }
      db.insert(users).values(row).run()
      tx.change('user', id, 'create', null, { id, name: seen.name, domain_id })
      return { row, ended: false }
    }
    const row = { ...before, ...said }
    if (JSON.stringify(row) !== JSON.stringify(before)) {
      db.update(users).set(said).where(eq(users.id, id)).run()
      tx.change('user', id, 'update', { name: before.name, enabled: before.enabled }, { name: row.name, enabled: row.enabled })
    }
    return { row, ended: before.enabled && !row.enabled }
  }

  #keepGroup(tx: Tx, domain_id: string, seen: SeenGroup): GroupRow {
    const { db } = tx
    const id = publicId(domain_id, 'group', seen.local_id)
    this.#keepEntry(tx, id, domain_id, 'group', seen)
    const said = { name: seen.name, description: seen.description }
    const before = db.select().from(groups).where(eq(groups.id, id)).get()
    if (before === undefined) {
      const row: GroupRow = { id, ...said, domain_id, extra: {}, origin: 'ldap' }
      db.insert(groups).values(row).run()
      tx.change('group', id, 'create', null, { id, name: seen.name, domain_id })
      return row
    }
    if (before.name !== said.name || before.description !== said.description) db.update(groups).set(said).where(eq(groups.id, id)).run()
    return { ...before, ...said }
  }

  #keepEntry({ db }: Tx, public_id: string, domain_id: string, kind: 'user' | 'group', { local_id, dn }: { local_id: string; dn: string }): void {
    const before = db.select().from(directoryEntries).where(eq(directoryEntries.public_id, public_id)).get()
    if (before?.dn === dn && before.local_id === local_id) return
    db.insert(directoryEntries).values({ public_id, domain_id, kind, local_id, dn }).onConflictDoUpdate({ target: directoryEntries.public_id, set: { dn, local_id } }).run()
  }
}
