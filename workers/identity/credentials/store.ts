/** Credentials: blobs by type, and EC2 keys as one of the types (id = SHA-256 of the access key). Runs in the Identity object. */
import { createHash } from 'node:crypto'
import { and, eq } from 'drizzle-orm'
import { applicationCredentials, credentials, projects, totpUsed, users } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type ListQuery, listRows } from '../kernel/listing.ts'
import { type Realm, duplicate, forbidden, invalid, notFound } from '../kernel/realm.ts'
import { delegationOf, forbidDelegated } from '../kernel/delegation.ts'
import { Store, exists, inTx, merged } from '../kernel/store.ts'
import { credentialRow } from '../secrets/reseal.ts'

export type CredentialRow = typeof credentials.$inferSelect

/** A credential as the API shows it: its blob is open. */
export type Credential = Omit<CredentialRow, 'sealed'>

export interface Ec2Credential {
  access: string
  secret: string
  user_id: string
  tenant_id: string
  trust_id: string | null
}

export const ec2Id = (access: string): string => createHash('sha256').update(access).digest('hex')

interface Blob {
  access?: unknown
  secret?: unknown
  trust_id?: unknown
  app_cred_id?: unknown
  access_token_id?: unknown
}

/** Where a key came from cannot be rewritten: it would shed the delegation's limits. */
const FIXED_KEYS = ['trust_id', 'app_cred_id', 'access_token_id'] as const

function blobOf(text: string): Blob {
  let blob: unknown
  try {
    blob = JSON.parse(text)
  } catch {
    throw invalid('Invalid blob in credential')
  }
  if (typeof blob !== 'object' || blob === null || Array.isArray(blob)) throw invalid('Invalid blob in credential')
  return blob as Blob
}

export class Credentials extends Store {
  get(id: string): Credential {
    this.#mayDelegate()
    return this.#opened(this.#row(id))
  }

  /** Whoever may not read them has none. */
  list(query: ListQuery): Credential[] {
    if (!this.#mayRead()) return []
    return listRows(this.realm.db, credentials, query).map((row) => this.#opened(row))
  }

  create(spec: { user_id: string; project_id?: string | null; type: string; blob: string; extra: Record<string, unknown> }): Credential {
    this.#mayDelegate()
    const made: Credential = { id: this.realm.deps.ids.hex(), project_id: null, app_cred_id: this.caller.app_cred_id ?? null, trust_id: this.caller.trust_id ?? null, ...spec }
    if (spec.type === 'ec2') {
      const blob = blobOf(spec.blob)
      if (typeof blob.access !== 'string') throw invalid('Invalid blob in credential: an ec2 credential needs access and secret.')
      if (made.project_id === null) throw invalid('project_id is required for credential type ec2.')
      made.id = ec2Id(blob.access)
      made.blob = JSON.stringify({ ...blob, ...(made.trust_id === null ? {} : { trust_id: made.trust_id }), ...(made.app_cred_id === null ? {} : { app_cred_id: made.app_cred_id }) })
    }
    return inTx(this, (tx) => {
      if (this.realm.db.select({ id: credentials.id }).from(credentials).where(eq(credentials.id, made.id)).get() !== undefined) throw duplicate('credential', `ID ${made.id}`)
      tx.db.insert(credentials).values(this.#sealed(made)).run()
      tx.change('credential', made.id, 'create', null, shown(made))
      return made
    })
  }

  async update(id: string, change: Partial<Credential>): Promise<Credential> {
    const [row, seq] = inTx(this, (tx) => {
      const before = this.get(id)
      if (change.user_id !== undefined && change.user_id !== before.user_id) throw forbidden('A credential cannot change its user.')
      const after = merged(before, change)
      if (after.type === 'ec2') after.blob = keptDelegation(before, after)
      tx.db.update(credentials).set(this.#sealed(after)).where(eq(credentials.id, id)).run()
      tx.change('credential', id, 'update', shown(before), shown(after))
      return [after, before.blob === after.blob && before.project_id === after.project_id && before.type === after.type ? 0 : this.#ended(before)] as const
    })
    await this.realm.revoker.pushed(seq)
    return row
  }

  async delete(id: string): Promise<void> {
    this.#mayDelegate()
    const seq = inTx(this, (tx) => {
      const row = this.#row(id)
      tx.db.delete(credentials).where(eq(credentials.id, id)).run()
      tx.db.delete(totpUsed).where(eq(totpUsed.credential_id, id)).run()
      tx.change('credential', id, 'delete', shown(row), null)
      return this.#ended(row)
    })
    await this.realm.revoker.pushed(seq)
  }

  ec2Create(userId: string, projectId: string): Ec2Credential {
    const { db, deps } = this.realm
    if (!exists(db, users, userId)) throw notFound('user', userId)
    if (!exists(db, projects, projectId)) throw notFound('project', projectId)
    const [access, secret] = [deps.ids.hex(), deps.ids.hex()]
    this.create({ user_id: userId, project_id: projectId, type: 'ec2', blob: JSON.stringify({ access, secret }), extra: {} })
    return this.ec2Get(userId, access)
  }

  ec2Get(userId: string, access: string): Ec2Credential {
    this.#mayDelegate()
    const row = this.realm.db.select().from(credentials).where(and(eq(credentials.id, ec2Id(access)), eq(credentials.user_id, userId))).get()
    if (row === undefined) throw new Fault('not_found', `Could not find credential: ${access}.`)
    return this.#ec2(row)
  }

  ec2List(userId: string): Ec2Credential[] {
    this.#mayDelegate()
    return this.realm.db.select().from(credentials).where(and(eq(credentials.user_id, userId), eq(credentials.type, 'ec2'))).all().map((row) => this.#ec2(row))
  }

  async ec2Delete(userId: string, access: string): Promise<void> {
    this.ec2Get(userId, access)
    await this.delete(ec2Id(access))
  }

  #row(id: string): CredentialRow {
    const row = this.realm.db.select().from(credentials).where(eq(credentials.id, id)).get()
    if (row === undefined) throw notFound('credential', id)
    return row
  }

  #opened(row: CredentialRow): Credential {
    const { sealed: _, ...rest } = row
    return { ...rest, blob: plainBlob(this.realm, row) }
  }

  #sealed(credential: Credential): CredentialRow {
    const { text, sealed } = this.realm.vault.seal(credential.blob, credentialRow(credential.id))
    return { ...credential, blob: text, sealed }
  }

  #ec2(row: CredentialRow): Ec2Credential {
    const blob = blobOf(plainBlob(this.realm, row))
    return { access: String(blob.access), secret: String(blob.secret), user_id: row.user_id, tenant_id: row.project_id ?? '', trust_id: row.trust_id }
  }

  /** Tokens that this key made, and signing keys derived from it, end with it. */
  #ended(row: Pick<CredentialRow, 'id' | 'type' | 'project_id'>): number {
    if (row.type !== 'ec2') return 0
    return this.realm.revoker.record([{ scope: 'credential', subject: row.id }], row.project_id === null ? [] : [row.project_id])
  }

  /** Whoever acts for another neither reads what lets that one in nor makes more of it; of application credentials an unrestricted one may. */
  #mayRead(): boolean {
    const by = delegationOf(this.caller)
    if (by !== 'application credential') return by === null
    return this.realm.db.select().from(applicationCredentials).where(eq(applicationCredentials.id, this.caller.app_cred_id ?? '')).get()?.unrestricted === true
  }

  #mayDelegate(): void {
    if (!this.#mayRead()) forbidDelegated(this.caller, 'manage credentials')
  }
}

/** The blob of an updated ec2 credential: what it was delegated by stays as it was. */
function keptDelegation(before: Credential, after: Credential): string {
  const [old, fresh] = [before.type === 'ec2' ? blobOf(before.blob) : null, blobOf(after.blob)]
  if (after.project_id === null) throw invalid('project_id is required for credential type ec2.')
  if (old === null) return after.blob
  for (const key of FIXED_KEYS) if (fresh[key] !== undefined && fresh[key] !== old[key]) throw invalid(`${key} of a credential cannot be updated.`)
  return JSON.stringify({ ...fresh, ...Object.fromEntries(FIXED_KEYS.flatMap((key) => (old[key] === undefined ? [] : [[key, old[key]]]))) })
}

const shown = ({ id, user_id, project_id, type }: Pick<CredentialRow, 'id' | 'user_id' | 'project_id' | 'type'>) => ({ id, user_id, project_id, type })

/** What a credential holds, as it was given. */
export const plainBlob = (realm: Realm, row: CredentialRow): string => realm.vault.open({ text: row.blob, sealed: row.sealed }, credentialRow(row.id))

/** The secret half of an EC2 credential. */
export const secretOf = (realm: Realm, row: CredentialRow): string => String(blobOf(plainBlob(realm, row)).secret)
