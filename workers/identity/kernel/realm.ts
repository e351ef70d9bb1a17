/** What every store of the Identity object works with: database, options, signing keys, revocations. Built once per instance by the object. */
import type { Db, Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { SigningKeys } from '../keys/keys.ts'
import type { Revoker } from '../revocations/revoker.ts'
import type { Attempts } from '../passwords/attempts.ts'
import type { Vault } from '../secrets/vault.ts'
import type { Standing } from '../tokens/standing.ts'
import type { IdentityOptions } from './options.ts'
import type { Pages } from './pages.ts'

export interface Realm {
  deps: Deps
  db: Db
  options: IdentityOptions
  keys: SigningKeys
  catalog: Catalog
  revoker: Revoker
  attempts: Attempts
  vault: Vault
  pages: Pages
  standing: Standing
}

/** A store's writes: change log entries know who acted. */
export function commit<T>(realm: Realm, caller: Pick<Caller, 'request_id' | 'user_id'>, work: (tx: Tx) => T): T {
  return realm.deps.commit(caller, work)
}

export const notFound = (kind: string, id: string): Fault => new Fault('not_found', `Could not find ${kind}: ${id}.`)
/** A reference that does not hold, as Keystone says it. */
export const expecting = (what: string, where: string): Fault =>
  new Fault('bad_request', `Expecting to find ${what} in ${where}. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.`)
export const inThePast = (): Fault => new Fault('bad_request', "The 'expires_at' must not be before now. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
/** The same two things cannot be linked twice. */
export const linked = (kind: string): Fault => new Fault('conflict', `Conflict occurred attempting to store ${kind} - Duplicate entry.`)
export const duplicate = (kind: string, what: string): Fault => new Fault('conflict', `Conflict occurred attempting to store ${kind} - Duplicate entry found with ${what}.`)
export const invalid = (message: string): Fault => new Fault('bad_request', message)
export const forbidden = (message: string): Fault => new Fault('forbidden', message)
