/** Brings every secret under the key of today: at boot, after the operator gave a first key or a new one. Runs in the Identity object. */
import { eq, isNull, ne, or } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { credentials, signingKeys } from '../../../schema/identity/tables.ts'
import type { Vault } from './vault.ts'

export const credentialRow = (id: string): string => `credentials/${id}`
export const signingKeyRow = (kid: string): string => `signing_keys/${kid}`

export function reseal({ db, storage, log }: Deps, vault: Vault): void {
  const { current } = vault
  if (current === null) return
  const done = storage.transactionSync(() => {
    const blobs = db.select().from(credentials).where(or(isNull(credentials.sealed), ne(credentials.sealed, current))).all()
    for (const row of blobs) {
      const kept = vault.seal(vault.open({ text: row.blob, sealed: row.sealed }, credentialRow(row.id)), credentialRow(row.id))
      db.update(credentials).set({ blob: kept.text, sealed: kept.sealed }).where(eq(credentials.id, row.id)).run()
    }
    const seeds = db.select().from(signingKeys).where(or(isNull(signingKeys.sealed), ne(signingKeys.sealed, current))).all()
    for (const row of seeds) {
      const kept = vault.seal(vault.open({ text: row.seed, sealed: row.sealed }, signingKeyRow(row.kid)), signingKeyRow(row.kid))
      db.update(signingKeys).set({ seed: kept.text, sealed: kept.sealed }).where(eq(signingKeys.kid, row.kid)).run()
    }
    return blobs.length + seeds.length
  })
  if (done > 0) log('secrets.sealed', { key: current, count: done })
}
