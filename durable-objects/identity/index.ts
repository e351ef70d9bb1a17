/** Identity: Keystone's state, one object per deployment. A shell; the logic is in workers/identity/. */
import { migrations } from '../../schema/identity/migrations.ts'
import type { Caller } from '../../schema/values/caller.ts'
import type { PublicKey } from '../../schema/values/token.ts'
import type { AccessRule } from '../../workers/http/access-rules.ts'
import { accessRulesOf } from '../../workers/identity/application-credentials/store.ts'
import { seed } from '../../workers/identity/bootstrap/seed.ts'
import { Catalog } from '../../workers/identity/catalog/catalog.ts'
import { type S3Signer, SignedRequests } from '../../workers/identity/ec2/store.ts'
import type { Scope } from '../../workers/identity/ec2/signed.ts'
import { Directories } from '../../workers/identity/directory/store.ts'
import { FederatedLogin } from '../../workers/identity/federation/login/store.ts'
import { identityOptions } from '../../workers/identity/kernel/options.ts'
import { Pages } from '../../workers/identity/kernel/pages.ts'
import type { Realm } from '../../workers/identity/kernel/realm.ts'
import { OAuthDoor } from '../../workers/identity/oauth1/store.ts'
import { SigningKeys } from '../../workers/identity/keys/keys.ts'
import { Attempts } from '../../workers/identity/passwords/attempts.ts'
import { type RevocationPage, Revoker } from '../../workers/identity/revocations/revoker.ts'
import { reseal } from '../../workers/identity/secrets/reseal.ts'
import { Vault } from '../../workers/identity/secrets/vault.ts'
import { Login } from '../../workers/identity/tokens/login.ts'
import { accountTasks } from '../../workers/object/account/tasks.ts'
import { standNear } from '../../workers/identity/tokens/near.ts'
import type { Form } from '../../workers/identity/tokens/scope.ts'
import { Standing } from '../../workers/identity/tokens/standing.ts'
import { Validations } from '../../workers/identity/tokens/validations.ts'
import { SERVICES } from '../../workers/services.ts'
import { callOn } from '../kernel/calls.ts'
import type { Env } from '../kernel/env.ts'
import { SkyObject } from '../kernel/object.ts'
import { IdentitySession } from './session.ts'

/** Catalog names that differ from the service's own. */
const CATALOG_NAMES: Record<string, string> = { volumev3: 'cinderv3' }

const PARTS = {
  /** For those who have no token yet. */
  login: (realm: Realm) => new Login(realm),
  /** What is known of directories, and where to ask them. */
  directories: (realm: Realm) => new Directories(realm),
  /** For those whom an identity provider vouches for. */
  federation: (realm: Realm) => new FederatedLogin(realm),
  /** For consumers: their signature is the credential. */
  oauth: (realm: Realm) => new OAuthDoor(realm),
}
export type Part = keyof typeof PARTS

export class IdentityObject extends SkyObject {
  #realm: Realm
  #validations: Validations

  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations, accountTasks)
    const { deps } = this
    const options = identityOptions(env)
    const vault = new Vault(env.IDENTITY_KEYS ?? '', deps.random)
    reseal(deps, vault)
    this.#realm = { deps, db: deps.db, options, keys: new SigningKeys(deps, options, vault), catalog: new Catalog(deps.db), revoker: new Revoker(deps, options, (events) => this.revoke(events)), attempts: new Attempts(deps.clock, options), vault, pages: new Pages(deps), standing: undefined as unknown as Standing }
    this.#realm.standing = new Standing(this.#realm)
    this.#validations = new Validations(this.#realm)
    standNear(env, { validations: this.#validations, standing: this.#realm.standing, admits: (caller) => !this.isRevoked(caller) && caller.expires_ms > deps.clock.now_ms() })
    seed(deps, SERVICES.flatMap(({ type, name, endpoint }) => (endpoint === null ? [] : [{ type, name: CATALOG_NAMES[type] ?? name, endpoint }])))
  }

  /** A call of a caller's session: refused where the token was revoked. */
  call(caller: Caller, path: string[], args: unknown[]): unknown {
    this.admit(caller)
    return callOn(new IdentitySession(this.#realm, caller), path, args)
  }

  /** GET /v3/auth/tokens in one call: `subject` is the claims of a token whose signature the Worker has verified. */
  validateToken(caller: Caller, subject: Caller, allowExpired: boolean, form: Form): string {
    this.admit(caller)
    return this.#validations.text(subject, allowExpired, form)
  }

  /** A call for those who have no token to show: what they show is judged by the part itself. */
  ask(part: Part, path: string[], args: unknown[]): unknown {
    return callOn(PARTS[part](this.#realm), path, args)
  }

  /**
   * For the S3 dialect, version 4: who signs with this access key, and the key of that scope. Fault types are S3's codes (InvalidAccessKeyId). Both may be kept
   * until `caller.expires_ms`, as long as no published revocation names the caller: then ask again.
   */
  s3SigningKey(asked: Scope & { access: string }, request_id = ''): S3Signer {
    return new SignedRequests(this.#realm).s3SigningKey(asked, request_id)
  }

  /** Version 2: checked here each time; SignatureDoesNotMatch where it is not the key's. */
  s3Verify(asked: { access: string; string_to_sign: string; signature: string }, request_id = ''): { caller: Caller } {
    return new SignedRequests(this.#realm).s3Verify(asked, request_id)
  }

  /** Access rules of an application credential that has some; none lets anything through. */
  accessRules(appCredId: string): AccessRule[] {
    return accessRulesOf(this.#realm.db, appCredId)
  }

  /** Keys that verify tokens: every one that may have signed a live token, and the next. */
  publicKeys(): Promise<PublicKey[]> {
    return this.#realm.keys.published()
  }

  /** The next key signs from now on; tokens of the key before hold until they expire. */
  rotateKeys(): Promise<void> {
    return this.#realm.keys.rotate()
  }

  /** Revocations after `cursor` (0: all that still matter): for readers whose requests end in no object of a project. */
  revocations(cursor: number): RevocationPage {
    return this.#realm.revoker.since(cursor)
  }
}
