/**
 * Auth methods, in the Worker: each proves who is there; all that are named must name the same user. Methods are a table, so that others (TOTP,
 * OpenID Connect) are a line each.
 */
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { callerOfToken } from '../../http/auth.ts'
import { clientAddress } from '../../http/client-address.ts'
import type { Context } from '../../http/context.ts'
import { directoriesOf } from '../directory/driver.ts'
import { LdapDriver } from '../directory/ldap.ts'
import { loginOf } from '../kernel/http.ts'
import { identityOptions } from '../kernel/options.ts'
import { hasherOf } from '../passwords/hasher.ts'
import { oauthDoorOf, oauthSigned } from '../oauth1/routes.ts'
import type { Login } from './login.ts'
import { nearStanding } from './near.ts'
import type { AuthRequest } from './requests.ts'
import type { IssueRequest, NameRef, Rendered, ScopeRequest } from './scope.ts'
import type { Prepared } from './standing.ts'

export interface Proof {
  user_id: string
  parent?: Caller
  app_cred_id?: string
  oauth_token_id?: string
  password?: { hash: string; upgraded: string | null }
  /** A token that waited for this proof. */
  prepared?: Prepared | null
}

/** Makes the token of somebody who may be able to prove what the method asks for, where all but the proof is at hand. */
type Prepare = (proof: Proof) => Prepared | null

interface Attempt {
  ctx: Context
  /** Reached where something is not at hand. */
  login(): Remote<Login>
  /** Where it comes from. */
  address: string | null
  prepare: Prepare
}

type Method = (attempt: Attempt, identity: AuthRequest['identity']) => Promise<Proof>

/** Who somebody says to be, without the proof of it. */
const refOf = ({ id, name, domain }: { id?: string; name?: string; domain?: unknown }): NameRef => ({ id, name, domain: domain as NameRef['domain'] })
const denied = () => new Fault('unauthorized', 'The request you have made requires authentication.')
const missing = (method: string) => new Fault('bad_request', `Expecting to find ${method} in identity. The server could not comply with the request since it is either malformed or otherwise incorrect.`)

const METHODS: Record<string, Method> = {
  password: async ({ ctx, login, address, prepare }, identity) => {
    if (identity.password === undefined) throw missing('password')
    const { user } = identity.password
    const ref = refOf(user)
    const hasher = hasherOf(ctx.env)
    const password = user.password ?? ''
    let challenge = nearStanding(ctx.env)?.passwordChallenge(ref, address) ?? (await login().passwordChallenge(ref, address))
    if (challenge.bootstrap && ctx.env.BOOTSTRAP_ADMIN_PASSWORD) {
      await login().bootstrap(await hasher.hash(ctx.env.BOOTSTRAP_ADMIN_PASSWORD, identityOptions(ctx.env).scrypt), ctx.requestId)
      challenge = await login().passwordChallenge(ref)
    }
    if (challenge.directory !== null) return { user_id: await new LdapDriver(ctx, directoriesOf(ctx), challenge.directory).login(challenge.directory, password) }
    const hashed = { hash: challenge.hash, upgraded: null }
    const hashing = hasher.verify(password, challenge.hash)
    const prepared = challenge.user_id === null || challenge.barred || challenge.expired || challenge.outdated ? null : prepare({ user_id: challenge.user_id, password: hashed })
    const right = await hashing
    // Nobody, locked and wrong are told apart neither by the answer nor by the way to it.
    if (!right || challenge.user_id === null || challenge.barred) {
      await login().passwordFailed(challenge.barred ? null : challenge.user_id)
      throw denied()
    }
    if (challenge.expired) throw new Fault('unauthorized', `The password is expired and needs to be changed for user: ${challenge.user_id}.`)
    return { user_id: challenge.user_id, prepared, password: challenge.outdated ? { ...hashed, upgraded: await hasher.hash(password, identityOptions(ctx.env).scrypt) } : hashed }
  },
  totp: async ({ login, address }, identity) => {
    if (identity.totp === undefined) throw missing('totp')
    const { user } = identity.totp
    const user_id = await login().totpUser(refOf(user), user.passcode ?? '', address)
    if (user_id === null) throw denied()
    return { user_id }
  },
  token: async ({ ctx }, identity) => {
    if (identity.token === undefined) throw missing('token')
    const parent = await subjectOf(ctx, identity.token.id)
    return { user_id: parent.user_id, parent }
  },
  application_credential: async ({ ctx, login, address }, identity) => {
    if (identity.application_credential === undefined) throw missing('application_credential')
    const { id, name, user, secret } = identity.application_credential
    if (id === undefined && (name === undefined || user === undefined)) throw missing('id, or name and user,')
    const challenge = await login().appCredChallenge({ id, name, user: user && refOf(user) }, address)
    const right = await hasherOf(ctx.env).verify(secret, challenge.hash)
    if (!right || challenge.user_id === null) throw denied()
    // Somebody whom a directory no longer has, or has disabled, gets in by no other door.
    if (challenge.directory !== null) await new LdapDriver(ctx, directoriesOf(ctx), challenge.directory).refresh(challenge.directory, challenge.user_id)
    return { user_id: challenge.user_id, app_cred_id: challenge.app_cred_id }
  },
  oauth1: async ({ ctx }) => await oauthDoorOf(ctx).prove(oauthSigned(ctx), ctx.requestId),
}

/** The claims of a token named in a request; 404 for anything that is none, or has expired. */
export async function subjectOf(ctx: Context, token: string): Promise<Caller> {
  try {
    return await callerOfToken(ctx.env, token, ctx.requestId, ctx.now_ms)
  } catch (error) {
    if (isFault(error, 'unauthorized')) throw new Fault('not_found', 'Could not find token.')
    throw error
  }
}

export function scopeOf(scope: AuthRequest['scope']): ScopeRequest {
  if (scope === undefined) return { kind: 'default' }
  if (scope === 'unscoped') return { kind: 'unscoped' }
  const asked: ScopeRequest[] = []
  if (scope.project !== undefined) asked.push({ kind: 'project', project: scope.project as NameRef })
  if (scope.domain !== undefined) asked.push({ kind: 'domain', domain: scope.domain as { id?: string; name?: string } })
  if (scope.system?.all === true) asked.push({ kind: 'system' })
  if (scope['OS-TRUST:trust'] !== undefined) asked.push({ kind: 'trust', trust_id: scope['OS-TRUST:trust'].id })
  const [first] = asked
  if (first === undefined || asked.length > 1) throw new Fault('bad_request', 'Expecting to find exactly one of project, domain, system or OS-TRUST:trust in scope.')
  return first
}

export async function authenticateAndIssue(ctx: Context, auth: AuthRequest, catalog: boolean): Promise<Rendered> {
  const methods = [...new Set(auth.identity.methods)]
  const scope = scopeOf(auth.scope)
  const form = { origin: ctx.origin, catalog }
  const address = clientAddress(ctx.env, ctx.request)
  const requestOf = (proof: Proof): IssueRequest => ({
    user_id: proof.user_id, methods, scope, parent: proof.parent ?? null, app_cred_id: proof.app_cred_id ?? null, ...(proof.oauth_token_id === undefined ? {} : { oauth_token_id: proof.oauth_token_id }), password: proof.password ?? null,
    request_id: ctx.requestId, address, receipt: ctx.request.headers.get('openstack-auth-receipt') ?? undefined,
  })
  const attempt: Attempt = { ctx, login: () => loginOf(ctx), address, prepare: (proof) => nearStanding(ctx.env)?.prepare(requestOf(proof), form) ?? null }
  const proofs: Proof[] = []
  for (const name of methods) {
    const method = METHODS[name]
    if (method === undefined) throw new Fault('unauthorized', `Attempted to authenticate with an unsupported method.`)
    proofs.push(await method(attempt, auth.identity))
  }
  const all = Object.assign({}, ...proofs) as Proof
  if (proofs.some((proof) => proof.user_id !== all.user_id)) throw denied()
  if (all.app_cred_id !== undefined && auth.scope !== undefined) throw new Fault('unauthorized', 'Application credentials cannot request a scope.')
  return (await all.prepared?.proved()) ?? (await attempt.login().issue(requestOf(all), form))
}
