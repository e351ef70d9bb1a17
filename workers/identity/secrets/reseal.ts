/** Brings every secret under the key of today: at boot, after the operator gave a first key or a new one. Runs in the Identity object. */
import { and, eq, isNotNull, isNull, ne, or } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { consumers, credentials, domainConfig, federationOidc, oauthAccessTokens, oauthRequestTokens, signingKeys, webssoSecrets } from '../../../schema/identity/tables.ts'
import { SENSITIVE_OPTIONS } from '../domain-config/options.ts'
import { configRow } from '../domain-config/store.ts'
import { WEBSSO_SECRET_ROW } from '../federation/login/websso-store.ts'
import { oidcSecretRow } from '../federation/protocols/store.ts'
import type { Vault } from './vault.ts'

export const credentialRow = (id: string): string => `credentials/${id}`
export const consumerRow = (id: string): string => `consumers/${id}`
export const oauthRow = (id: string): string => `oauth/${id}`
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
    return blobs.length + seeds.length + outside(db, vault, current)
  })
  if (done > 0) log('secrets.sealed', { key: current, count: done })
}

/** What others trust us with: passwords of directories, secrets at identity providers, and what seals browser logins. */
function outside(db: Deps['db'], vault: Vault, current: string): number {
  const anew = (text: string, sealed: string | null, row: string) => vault.seal(vault.open({ text, sealed }, row), row)
  const options = db.select().from(domainConfig).where(or(isNull(domainConfig.sealed), ne(domainConfig.sealed, current))).all().filter(({ group, option, value }) => SENSITIVE_OPTIONS[group]?.includes(option) === true && typeof value === 'string')
  for (const { domain_id, group, option, value, sealed } of options) {
    const kept = anew(String(value), sealed, configRow(domain_id, group, option))
    db.update(domainConfig).set({ value: kept.text, sealed: kept.sealed }).where(and(eq(domainConfig.domain_id, domain_id), eq(domainConfig.group, group), eq(domainConfig.option, option))).run()
  }
  const clients = db.select().from(federationOidc).where(and(isNotNull(federationOidc.client_secret), or(isNull(federationOidc.sealed), ne(federationOidc.sealed, current)))).all()
  for (const { idp_id, protocol_id, client_secret, sealed } of clients) {
    const kept = anew(client_secret ?? '', sealed, oidcSecretRow(idp_id, protocol_id))
    db.update(federationOidc).set({ client_secret: kept.text, sealed: kept.sealed }).where(and(eq(federationOidc.idp_id, idp_id), eq(federationOidc.protocol_id, protocol_id))).run()
  }
  const programs = db.select().from(consumers).where(or(isNull(consumers.sealed), ne(consumers.sealed, current))).all()
  for (const { id, secret, sealed } of programs) {
    const kept = anew(secret, sealed, consumerRow(id))
    db.update(consumers).set({ secret: kept.text, sealed: kept.sealed }).where(eq(consumers.id, id)).run()
  }
  let tokens = 0
  for (const table of [oauthRequestTokens, oauthAccessTokens]) {
    for (const { id, secret, sealed } of db.select({ id: table.id, secret: table.secret, sealed: table.sealed }).from(table).where(or(isNull(table.sealed), ne(table.sealed, current))).all()) {
      const kept = anew(secret, sealed, oauthRow(id))
      db.update(table).set({ secret: kept.text, sealed: kept.sealed }).where(eq(table.id, id)).run()
      tokens++
    }
  }
  const seals = db.select().from(webssoSecrets).where(or(isNull(webssoSecrets.sealed), ne(webssoSecrets.sealed, current))).all()
  for (const { secret, sealed } of seals) {
    const kept = anew(secret, sealed, WEBSSO_SECRET_ROW)
    db.update(webssoSecrets).set({ secret: kept.text, sealed: kept.sealed }).where(eq(webssoSecrets.secret, secret)).run()
  }
  return options.length + clients.length + programs.length + tokens + seals.length
}
