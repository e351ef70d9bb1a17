/**
 * The two halves of a browser login. What the second half must know of the first is kept by the browser, sealed: nobody can fill this object's rows by beginning logins. A login that came back
 * is written down, so that its state serves once. Runs in the Identity object.
 */
import { RpcTarget } from 'cloudflare:workers'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { eq, lte } from 'drizzle-orm'
import { webssoSecrets, webssoUsed } from '../../../../schema/identity/tables.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import type { Realm } from '../../kernel/realm.ts'

/** How long somebody may take to log in at the provider. */
export const WEBSSO_LIFE_MS = 600_000
const RANDOM_BYTES = 32
export const WEBSSO_SECRET_ROW = 'websso_secrets'

export interface BrowserLogin {
  idp_id: string
  protocol_id: string
  /** The dashboard's page that gets the token. */
  dashboard: string
  state: string
  nonce: string
  /** Of PKCE: shown to the provider with the code. */
  verifier: string
  expires_ms: number
}

export class Websso extends RpcTarget {
  #realm: Realm
  constructor(realm: Realm) {
    super()
    this.#realm = realm
  }

  begin(asked: Pick<BrowserLogin, 'idp_id' | 'protocol_id' | 'dashboard'>): { login: BrowserLogin; sealed: string } {
    const { random, clock } = this.#realm.deps
    const fresh = () => Buffer.from(random.bytes(RANDOM_BYTES)).toString('base64url')
    const login: BrowserLogin = { ...asked, state: fresh(), nonce: fresh(), verifier: fresh(), expires_ms: clock.now_ms() + WEBSSO_LIFE_MS }
    const text = Buffer.from(JSON.stringify(login)).toString('base64url')
    return { login, sealed: `${text}.${this.#seal(text)}` }
  }

  /** What was sealed, if the state that the provider gave back is the one of this browser, in time and for the first time. */
  finish(sealed: string, state: string): BrowserLogin {
    const { deps, db } = this.#realm
    const denied = () => new Fault('unauthorized', 'This login cannot be completed: it was begun in another browser, or too long ago, or is over already. Begin anew.')
    const [text = '', seal = ''] = sealed.split('.')
    if (!same(seal, this.#seal(text))) throw denied()
    const login = JSON.parse(Buffer.from(text, 'base64url').toString()) as BrowserLogin
    const now = deps.clock.now_ms()
    if (!same(login.state, state) || login.expires_ms <= now) throw denied()
    deps.storage.transactionSync(() => {
      db.delete(webssoUsed).where(lte(webssoUsed.expires_ms, now)).run()
      if (db.select().from(webssoUsed).where(eq(webssoUsed.state, state)).get() !== undefined) throw denied()
      db.insert(webssoUsed).values({ state, expires_ms: login.expires_ms }).run()
    })
    return login
  }

  #seal(text: string): string {
    return createHmac('sha256', this.#secret()).update(text).digest('base64url')
  }

  #secret(): string {
    const { deps, db, vault } = this.#realm
    const kept = db.select().from(webssoSecrets).get()
    if (kept !== undefined) return vault.open({ text: kept.secret, sealed: kept.sealed }, WEBSSO_SECRET_ROW)
    const secret = Buffer.from(deps.random.bytes(RANDOM_BYTES)).toString('base64url')
    const { text, sealed } = vault.seal(secret, WEBSSO_SECRET_ROW)
    db.insert(webssoSecrets).values({ secret: text, sealed, created_ms: deps.clock.now_ms() }).run()
    return secret
  }
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
