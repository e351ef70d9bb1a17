/**
 * OAuth1: a consumer asks for a part of what somebody may do on one project, that one authorizes it, and the consumer logs in with it until it expires or is taken back. Each
 * signed request is taken once, and only near its time. What such a token may do is the roles named, as far as the user still has them. Runs in the Identity object.
 */
import { RpcTarget } from 'cloudflare:workers'
import { createHash } from 'node:crypto'
import { and, eq, lt } from 'drizzle-orm'
import type { Db, Tx } from '../../../durable-objects/kernel/deps.ts'
import { consumers, oauthAccessTokens, oauthNonces, oauthRequestTokens, projects, roles } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { assignedRoleIds, expand, impliedMap, projectById, rolesByIds } from '../assignments/effective.ts'
import { forbidDelegated } from '../kernel/delegation.ts'
import { type Realm, commit, notFound } from '../kernel/realm.ts'
import { Store, exists, inTx } from '../kernel/store.ts'
import { consumerRow, oauthRow } from '../secrets/reseal.ts'
import { type OAuthSigned, holds } from './signature.ts'

export type AccessToken = Omit<typeof oauthAccessTokens.$inferSelect, 'secret' | 'sealed'>
export interface Made {
  id: string
  secret: string
  expires_ms: number
}

/** keystone/conf/oauth1.py */
export const REQUEST_TOKEN_LIFE_MS = 28_800_000
export const ACCESS_TOKEN_LIFE_MS = 86_400_000
/** How far a request's time may be off. */
export const SKEW_MS_MAX = 15 * 60_000
const NONCE_CHARS_MAX = 128
const VERIFIER_CHARS = 20

const refused = (message: string) => new Fault('unauthorized', message)
const malformed = (name: string) => new Fault('bad_request', `Expecting to find ${name} in request. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.`)

/** For those who have no token yet: their signature is the credential. */
export class OAuthDoor extends RpcTarget {
  #realm: Realm
  constructor(realm: Realm) {
    super()
    this.#realm = realm
  }

  requestToken(signed: OAuthSigned, projectId: string, request_id: string): Made {
    const { db, deps, vault } = this.#realm
    const consumerId = given(signed, 'oauth_consumer_key')
    if (projectId === '') throw malformed('Requested-Project-Id')
    if (!exists(db, projects, projectId)) throw notFound('project', projectId)
    this.#check(signed, consumerId, '')
    return commit(this.#realm, { request_id, user_id: `oauth:${consumerId}` }, (tx) => {
      this.#once(tx, signed)
      tx.db.delete(oauthRequestTokens).where(lt(oauthRequestTokens.expires_ms, tx.now_ms)).run()
      const made = { id: deps.ids.hex(), secret: deps.ids.hex(), expires_ms: tx.now_ms + REQUEST_TOKEN_LIFE_MS }
      const { text, sealed } = vault.seal(made.secret, oauthRow(made.id))
      tx.db.insert(oauthRequestTokens).values({ ...made, secret: text, sealed, consumer_id: consumerId, project_id: projectId, verifier: null, user_id: null, role_ids: null }).run()
      tx.change('oauth request token', made.id, 'create', null, { consumer_id: consumerId, project_id: projectId })
      return made
    })
  }

  /** An authorized request token for an access token, once. */
  accessToken(signed: OAuthSigned, request_id: string): Made {
    const { db, deps, vault } = this.#realm
    const [consumerId, tokenId, verifier] = [given(signed, 'oauth_consumer_key'), given(signed, 'oauth_token'), given(signed, 'oauth_verifier')]
    const row = requestTokenOf(db, tokenId, deps.clock.now_ms())
    if (!exists(db, consumers, consumerId)) throw refused('Provided consumer does not exist.')
    if (row.consumer_id !== consumerId) throw refused('Provided consumer key does not match stored consumer key.')
    this.#check(signed, consumerId, vault.open({ text: row.secret, sealed: row.sealed }, oauthRow(row.id)))
    const { user_id, role_ids } = row
    if (row.verifier === null || user_id === null || role_ids === null) throw refused('Request Token does not have an authorizing user id.')
    if (!same(row.verifier, verifier)) throw refused('Provided verifier does not match stored verifier')
    return commit(this.#realm, { request_id, user_id }, (tx) => {
      this.#once(tx, signed)
      tx.db.delete(oauthAccessTokens).where(lt(oauthAccessTokens.expires_ms, tx.now_ms)).run()
      tx.db.delete(oauthRequestTokens).where(eq(oauthRequestTokens.id, row.id)).run()
      const made = { id: deps.ids.hex(), secret: deps.ids.hex(), expires_ms: tx.now_ms + ACCESS_TOKEN_LIFE_MS }
      const { text, sealed } = vault.seal(made.secret, oauthRow(made.id))
      const { consumer_id, project_id } = row
      tx.db.insert(oauthAccessTokens).values({ ...made, secret: text, sealed, consumer_id, project_id, user_id, role_ids }).run()
      tx.change('oauth access token', made.id, 'create', null, { consumer_id, project_id, user_id, role_ids })
      return made
    })
  }

  /** Whose access token has signed this. */
  prove(signed: OAuthSigned, request_id: string): { user_id: string; oauth_token_id: string } {
    const { db, deps, vault } = this.#realm
    const tokenId = given(signed, 'oauth_token')
    const row = db.select().from(oauthAccessTokens).where(eq(oauthAccessTokens.id, tokenId)).get()
    if (row === undefined) throw new Fault('not_found', 'Access token not found')
    if (row.expires_ms <= deps.clock.now_ms()) throw refused('Access token is expired')
    if (row.consumer_id !== signed.oauth.oauth_consumer_key) throw refused('Could not validate the access token')
    this.#check(signed, row.consumer_id, vault.open({ text: row.secret, sealed: row.sealed }, oauthRow(row.id)), 'Could not validate the access token')
    commit(this.#realm, { request_id, user_id: row.user_id }, (tx) => this.#once(tx, signed))
    return { user_id: row.user_id, oauth_token_id: row.id }
  }

  #check(signed: OAuthSigned, consumerId: string, tokenSecret: string, message = 'Invalid signature'): void {
    const { db, deps, vault } = this.#realm
    const consumer = db.select().from(consumers).where(eq(consumers.id, consumerId)).get()
    if (consumer === undefined) throw new Fault('not_found', 'Consumer not found')
    const { oauth_timestamp: timestamp = '', oauth_nonce: nonce = '' } = signed.oauth
    const near = /^\d{1,12}$/.test(timestamp) && Math.abs(Number(timestamp) * 1000 - deps.clock.now_ms()) <= SKEW_MS_MAX
    if (nonce === '' || nonce.length > NONCE_CHARS_MAX || !holds(signed, vault.open({ text: consumer.secret, sealed: consumer.sealed }, consumerRow(consumerId)), tokenSecret)) throw refused(message)
    if (!near) throw refused('The time of this signature is past, or the clocks differ.')
  }

  /** Whoever has seen a signed request cannot send it again. */
  #once({ db, now_ms }: Tx, { oauth }: OAuthSigned): void {
    db.delete(oauthNonces).where(lt(oauthNonces.expires_ms, now_ms)).run()
    const digest = createHash('sha256').update(JSON.stringify([oauth.oauth_consumer_key, oauth.oauth_token ?? '', oauth.oauth_timestamp, oauth.oauth_nonce])).digest('hex')
    if (db.select().from(oauthNonces).where(eq(oauthNonces.digest, digest)).get() !== undefined) throw refused('This signed request was sent before.')
    db.insert(oauthNonces).values({ digest, expires_ms: now_ms + 2 * SKEW_MS_MAX }).run()
  }
}

function given({ oauth }: OAuthSigned, name: string): string {
  const value = oauth[name]
  if (value === undefined || value === '') throw malformed(name)
  return value
}

const same = (a: string, b: string): boolean => createHash('sha256').update(a).digest('hex') === createHash('sha256').update(b).digest('hex')

function requestTokenOf(db: Db, id: string, now_ms: number) {
  const row = db.select().from(oauthRequestTokens).where(eq(oauthRequestTokens.id, id)).get()
  if (row === undefined) throw new Fault('not_found', 'Request token not found')
  if (row.expires_ms <= now_ms) throw refused('Request token is expired')
  return row
}

/** What users have authorized. No delegated token reaches it: a narrow right must not make a wider one. */
export class OAuthTokens extends Store {
  /** The caller gives a consumer these of its roles; the answer is what the consumer must show. */
  authorize(id: string, wanted: { id?: string; name?: string }[]): string {
    forbidDelegated(this.caller, 'authorize a request token')
    return inTx(this, (tx) => {
      const row = requestTokenOf(tx.db, id, tx.now_ms)
      const named = wanted.map((ref) => this.#role(ref))
      const project = projectById(tx.db, row.project_id)
      const held = project === undefined ? [] : assignedRoleIds(tx.db, this.caller.user_id, { type: 'project', id: project.id }, project)
      const all = expand(impliedMap(tx.db), held)
      if (named.some((role) => !all.has(role))) throw refused('authorizing user does not have role required')
      const verifier = Buffer.from(this.realm.deps.random.bytes(VERIFIER_CHARS)).toString('base64url').slice(0, VERIFIER_CHARS)
      tx.db.update(oauthRequestTokens).set({ verifier, user_id: this.caller.user_id, role_ids: [...new Set(named)] }).where(eq(oauthRequestTokens.id, id)).run()
      tx.change('oauth request token', id, 'update', null, { user_id: this.caller.user_id, role_ids: named })
      return verifier
    })
  }

  list(userId: string): AccessToken[] {
    forbidDelegated(this.caller, 'manage OAuth access tokens')
    return this.realm.db.select().from(oauthAccessTokens).where(eq(oauthAccessTokens.user_id, userId)).all().map(shown)
  }

  get(userId: string, id: string): AccessToken {
    forbidDelegated(this.caller, 'manage OAuth access tokens')
    const row = this.realm.db.select().from(oauthAccessTokens).where(and(eq(oauthAccessTokens.id, id), eq(oauthAccessTokens.user_id, userId))).get()
    if (row === undefined) throw new Fault('not_found', 'Access token not found')
    return shown(row)
  }

  roles(userId: string, id: string): (typeof roles.$inferSelect)[] {
    return rolesByIds(this.realm.db, this.get(userId, id).role_ids)
  }

  async delete(userId: string, id: string): Promise<void> {
    const { revoker } = this.realm
    const seq = inTx(this, (tx) => {
      const row = this.get(userId, id)
      tx.db.delete(oauthAccessTokens).where(eq(oauthAccessTokens.id, id)).run()
      tx.change('oauth access token', id, 'delete', row, null)
      return revoker.record([{ scope: 'oauth_token', subject: id }], [row.project_id])
    })
    await revoker.pushed(seq)
  }

  #role(ref: { id?: string; name?: string }): string {
    const { db } = this.realm
    const row = ref.id === undefined ? db.select().from(roles).where(and(eq(roles.name, ref.name ?? ''), eq(roles.domain_id, ''))).get() : db.select().from(roles).where(eq(roles.id, ref.id)).get()
    // An id that is no role is none that the user has.
    if (row === undefined && ref.id === undefined) throw notFound('role', ref.name ?? '')
    return row?.id ?? ''
  }
}

const shown = ({ secret: _secret, sealed: _sealed, ...row }: typeof oauthAccessTokens.$inferSelect): AccessToken => row

/** What hangs on a consumer; the number is for `revoker.pushed`. */
export function removeTokensOfConsumer({ revoker }: Realm, tx: Tx, consumerId: string): number {
  const gone = tx.db.select().from(oauthAccessTokens).where(eq(oauthAccessTokens.consumer_id, consumerId)).all()
  tx.db.delete(oauthAccessTokens).where(eq(oauthAccessTokens.consumer_id, consumerId)).run()
  tx.db.delete(oauthRequestTokens).where(eq(oauthRequestTokens.consumer_id, consumerId)).run()
  return revoker.record(gone.map((row) => ({ scope: 'oauth_token' as const, subject: row.id })), gone.map((row) => row.project_id))
}
