/**
 * Requests signed with an EC2 credential. The secret never leaves the Identity object: it answers with a token (ec2tokens), with what the token would say
 * (s3tokens), or, for our own S3, with who signs and a key that signs for one day, region and service alone. Each answer reads today's state of user, project,
 * delegation and credential; what a caller keeps ends by the revocations of any of them. Runs in the Identity object.
 */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import { credentials } from '../../../schema/identity/tables.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { type CredentialRow, ec2Id, secretOf } from '../credentials/store.ts'
import type { Realm } from '../kernel/realm.ts'
import { Issuer } from '../tokens/issue.ts'
import type { Issued, TokenRecord } from '../tokens/scope.ts'
import { type Ec2Signed, type S3Signed, type Scope, ec2Fault, s3Fault, s3Key, s3VersionTwo } from './signed.ts'

/** How long a Worker may go on with what it was told about a signer; a revocation ends it sooner. */
export const SIGNER_LIFE_MS = 5 * 60_000

export interface S3Signer {
  signing_key: Uint8Array
  caller: Caller
}

const METHOD = 'ec2credential'
const refused = () => new Fault('unauthorized', 'The request you have made requires authentication.')

export class SignedRequests extends RpcTarget {
  #realm: Realm
  constructor(realm: Realm) {
    super()
    this.#realm = realm
  }

  /** A whole EC2 request: a token for whoever signed it. */
  async ec2Token(given: Ec2Signed, request_id: string): Promise<Issued> {
    const row = this.#row(given.access)
    const fault = ec2Fault(given, secretOf(this.#realm, row), this.#now)
    if (fault !== null) throw fault
    return await this.#issue(row, request_id)
  }

  /** The text that an S3 request signed: what a token would say, and no token (S16). */
  s3Token(given: S3Signed, request_id: string): TokenRecord {
    const row = this.#row(given.access)
    const fault = s3Fault(given, secretOf(this.#realm, row), this.#now)
    if (fault !== null) throw fault
    return this.#living(() => new Issuer(this.#realm).recordOfCredential(row.id, [METHOD], request_id))
  }

  /** Who signs, and the key of one scope. Fault types are S3's codes. */
  s3SigningKey({ access, ...scope }: Scope & { access: string }, request_id: string): S3Signer {
    const row = this.#row(access)
    return { signing_key: s3Key(secretOf(this.#realm, row), scope), caller: this.#caller(row, request_id) }
  }

  /** Version 2 has no scoped keys: the signature is checked here each time. */
  s3Verify({ access, string_to_sign, signature }: { access: string; string_to_sign: string; signature: string }, request_id: string): { caller: Caller } {
    const row = this.#row(access)
    if (!s3VersionTwo(secretOf(this.#realm, row), string_to_sign, signature)) throw new Fault('forbidden', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.', { type: 'SignatureDoesNotMatch' })
    return { caller: this.#caller(row, request_id) }
  }

  get #now(): number {
    return this.#realm.deps.clock.now_ms()
  }

  #caller(row: CredentialRow, request_id: string): Caller {
    const { caller } = this.#living(() => new Issuer(this.#realm).recordOfCredential(row.id, [METHOD], request_id))
    // Fails closed: the rules name paths of OpenStack's APIs, and no path of S3 is one.
    if (caller.ruled) throw new Fault('forbidden', 'This key comes from an application credential with access rules, which S3 cannot hold it to.', { type: 'AccessDenied' })
    return { ...caller, expires_ms: Math.min(caller.expires_ms, this.#now + SIGNER_LIFE_MS) }
  }

  async #issue(row: CredentialRow, request_id: string): Promise<Issued> {
    try {
      return await new Issuer(this.#realm).issue({ user_id: row.user_id, methods: [METHOD], scope: { kind: 'unscoped' }, parent: null, app_cred_id: null, credential_id: row.id, password: null, request_id })
    } catch (error) {
      throw isFault(error, 'unauthorized') || isFault(error, 'forbidden') ? refused() : error
    }
  }

  /** Whatever ended the signer's right, the answer is the same. */
  #living<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw isFault(error, 'unauthorized') || isFault(error, 'forbidden') ? new Fault('unauthorized', 'The request you have made requires authentication.', { type: 'InvalidAccessKeyId' }) : error
    }
  }

  #row(access: string): CredentialRow {
    const row = this.#realm.db.select().from(credentials).where(eq(credentials.id, ec2Id(access))).get()
    if (row === undefined || row.type !== 'ec2') throw new Fault('not_found', 'EC2 access key not found.', { type: 'InvalidAccessKeyId' })
    return row
  }
}
