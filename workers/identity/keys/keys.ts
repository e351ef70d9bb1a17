/**
 * Signing keys (Ed25519). Two exist at any time: the one that signs, and the next, published ahead so that no verifier meets an unknown key id when
 * the keys rotate. A retired key stays published until the last token it signed has expired. Private seeds never leave the object.
 */
import { asc, eq, isNotNull, isNull } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { signingKeys } from '../../../schema/identity/tables.ts'
import type { PublicKey } from '../../../schema/values/token.ts'
import { signingKeyRow } from '../secrets/reseal.ts'
import type { Vault } from '../secrets/vault.ts'
import type { IdentityOptions } from '../kernel/options.ts'

/** PKCS #8 header of an Ed25519 private key (RFC 8410); the 32 byte seed follows. */
const PKCS8 = Uint8Array.from([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20])

interface Signer {
  kid: string
  key: CryptoKey
}

const importSeed = (seed: Uint8Array, extractable: boolean): Promise<CryptoKey> => crypto.subtle.importKey('pkcs8', Uint8Array.from([...PKCS8, ...seed]), { name: 'Ed25519' }, extractable, ['sign']) as Promise<CryptoKey>

export class SigningKeys {
  #deps: Deps
  #options: IdentityOptions
  #vault: Vault
  #signer: (Signer & { until_ms: number }) | null = null
  #making: Promise<void> | null = null

  constructor(deps: Deps, options: IdentityOptions, vault: Vault) {
    this.#deps = deps
    this.#vault = vault
    this.#options = options
  }

  /** Every key that may have signed a live token, and the next one. */
  async published(): Promise<PublicKey[]> {
    await this.#ready()
    return this.#deps.db.select({ kid: signingKeys.kid, x: signingKeys.x }).from(signingKeys).orderBy(asc(signingKeys.created_ms)).all()
  }

  /** Whether `signer` can answer from memory. */
  get isAtHand(): boolean {
    return this.#signer !== null && this.#deps.clock.now_ms() < this.#signer.until_ms
  }

  async signer(): Promise<Signer> {
    const now = this.#deps.clock.now_ms()
    if (this.#signer !== null && now < this.#signer.until_ms) return this.#signer
    await this.#ready()
    let active = this.#active()
    if (active === undefined || now >= (active.active_ms ?? 0) + this.#options.key_life_ms) {
      await this.rotate()
      active = this.#active()
    }
    if (active === undefined) throw new Error('no signing key')
    const key = await importSeed(Uint8Array.from(Buffer.from(this.#vault.open({ text: active.seed, sealed: active.sealed }, signingKeyRow(active.kid)), 'base64url')), false)
    this.#signer = { kid: active.kid, key, until_ms: (active.active_ms ?? now) + this.#options.key_life_ms }
    return this.#signer
  }

  /** The next key begins to sign, the one before retires, and a new next one is published. */
  async rotate(): Promise<void> {
    const fresh = await this.#generate()
    const { db, clock, storage } = this.#deps
    storage.transactionSync(() => {
      const now = clock.now_ms()
      for (const row of db.select().from(signingKeys).where(isNotNull(signingKeys.retired_ms)).all()) {
        if ((row.retired_ms ?? 0) + this.#options.token_life_ms + this.#options.allow_expired_window_ms < now) db.delete(signingKeys).where(eq(signingKeys.kid, row.kid)).run()
      }
      const active = this.#active()
      if (active !== undefined) db.update(signingKeys).set({ retired_ms: now }).where(eq(signingKeys.kid, active.kid)).run()
      const next = db.select().from(signingKeys).where(isNull(signingKeys.active_ms)).orderBy(asc(signingKeys.created_ms)).limit(1).get()
      if (next !== undefined) db.update(signingKeys).set({ active_ms: now }).where(eq(signingKeys.kid, next.kid)).run()
      db.insert(signingKeys).values({ ...fresh, created_ms: now, active_ms: null, retired_ms: null }).run()
    })
    this.#signer = null
    this.#deps.log('keys.rotated', { next: fresh.kid })
  }

  #active() {
    return this.#deps.db.select().from(signingKeys).where(isNotNull(signingKeys.active_ms)).all().find((row) => row.retired_ms === null)
  }

  /** First boot: two rotations make the active and the next key. */
  async #ready(): Promise<void> {
    if (this.#active() !== undefined) return
    this.#making ??= (async () => {
      while (this.#active() === undefined) await this.rotate()
    })().finally(() => {
      this.#making = null
    })
    await this.#making
  }

  async #generate(): Promise<{ kid: string; x: string; seed: string; sealed: string | null }> {
    const seed = this.#deps.random.bytes(32)
    const jwk = (await crypto.subtle.exportKey('jwk', await importSeed(seed, true))) as { x?: string }
    const kid = this.#deps.ids.hex().slice(0, 16)
    const { text, sealed } = this.#vault.seal(Buffer.from(seed).toString('base64url'), signingKeyRow(kid))
    return { kid, x: jwk.x ?? '', seed: text, sealed }
  }
}
