/**
 * Makes and re-reads tokens from state. Every rule about who may be scoped where is here: used by all auth methods, and again when a token is
 * validated, so that a validated token shows today's roles. Runs in the Identity object.
 */
import { and, eq } from 'drizzle-orm'
import { base64url } from 'jose'
import { accessRules, applicationCredentials, credentials, oauthAccessTokens, trusts, vouchedMembers } from '../../../schema/identity/tables.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { signToken } from '../../../schema/values/token.ts'
import { type ProjectRow, type RoleRow, SYSTEM_TARGET, assignedRoleIds, expand, impliedMap, projectById, projectByName, tokenRoles } from '../assignments/effective.ts'
import type { Realm } from '../kernel/realm.ts'
import { currentPassword } from '../passwords/rules.ts'
import { type UserRow, userById } from '../users/rows.ts'
import { dropExpired, federatedRowsOf, providerById, sourceOf } from '../federation/rows.ts'
import type { IssueRequest, Issued, NameRef, Named, ScopeRequest, TokenRecord } from './scope.ts'

type TrustRow = typeof trusts.$inferSelect
type AppCredRow = typeof applicationCredentials.$inferSelect
type OAuthRow = typeof oauthAccessTokens.$inferSelect

/** The reason stays here: to say it would tell strangers which projects, domains and users there are. */
const refused = (_reason: string): Fault => new Fault('unauthorized', 'The request you have made requires authentication.')

/** What a token is about, resolved: rows, not names. */
export interface Subject {
  user: UserRow
  project: ProjectRow | null
  domain: ProjectRow | null
  system: boolean
  /** As assigned or delegated. */
  roleIds: string[]
  /** As a token carries them. */
  roles: RoleRow[]
  trust: TrustRow | null
  appCred: AppCredRow | null
  credentialId: string | null
  oauth: OAuthRow | null
}

/** A subject, and what a token says of it whoever asked for it when. */
export interface Resolved {
  subject: Subject
  said: Omit<TokenRecord, 'caller' | 'federation'>
}

/** Delegations may end before the token's life does. */
const endOf = (row: { expires_us: number | null } | null): number => (row === null || row.expires_us === null ? Number.POSITIVE_INFINITY : Math.floor(row.expires_us / 1000))
const bare = (user: UserRow): Subject => ({ user, project: null, domain: null, system: false, roleIds: [], roles: [], trust: null, appCred: null, credentialId: null, oauth: null })

export class Issuer {
  #realm: Realm
  /** Rows read by this one request: some are asked for several times. */
  #seen = new Map<string, ProjectRow | undefined>()
  #users = new Map<string, UserRow | undefined>()
  #passwords = new Map<string, ReturnType<typeof currentPassword>>()
  constructor(realm: Realm) {
    this.#realm = realm
  }

  async issue(request: IssueRequest): Promise<Issued> {
    return await this.stamp(this.resolve(request), request)
  }

  /** All of a token that is a matter of rows. */
  resolve(request: IssueRequest): Resolved {
    const subject = this.#requested(request)
    return { subject, said: this.#said(subject) }
  }

  /** The rest: who asked when, and the signature. */
  async stamp({ subject, said }: Resolved, request: IssueRequest): Promise<Issued> {
    const caller = this.#fresh(subject, request)
    const record = this.#record(subject, said, caller)
    const signer = await this.#realm.keys.signer()
    return { token: await signToken(caller, signer.kid, signer.key), record }
  }

  /** What a token made by this EC2 credential would say, without making it. */
  recordOfCredential(id: string, methods: string[], request_id: string): TokenRecord {
    dropExpired(this.#realm)
    const subject = this.#ofCredential(id)
    return this.#record(subject, this.#said(subject), this.#fresh(subject, { methods, parent: null, request_id }))
  }

  #requested(request: IssueRequest): Subject {
    dropExpired(this.#realm)
    if (request.credential_id !== undefined) return this.#ofCredential(request.credential_id)
    if (request.oauth_token_id !== undefined) return this.#ofOAuth(request.oauth_token_id)
    const user = this.liveUser(request.user_id)
    return request.app_cred_id === null ? this.#scope(user, request.scope) : this.#ofAppCred(user, request.app_cred_id)
  }

  #fresh(subject: Subject, request: Pick<IssueRequest, 'methods' | 'parent' | 'request_id' | 'federation'>): Caller {
    const { deps, options, revoker } = this.#realm
    const now = deps.clock.now_ms()
    const own = base64url.encode(deps.random.bytes(16))
    const chain = request.parent?.audit_ids.at(-1)
    const limits = [request.parent?.expires_ms ?? now + options.token_life_ms, endOf(subject.trust), endOf(subject.appCred), subject.oauth?.expires_ms ?? Number.POSITIVE_INFINITY]
    const methods = [...new Set([...request.methods, ...(request.parent?.methods ?? [])])]
    const caller = this.#caller(subject, { audit_ids: chain === undefined ? [own] : [own, chain], methods, issued_ms: now, expires_ms: Math.min(...limits), request_id: request.request_id })
    caller.federation = request.federation ?? request.parent?.federation ?? this.#provider(subject.user)
    if (caller.federation && providerById(this.#realm.db, caller.federation.idp_id)?.enabled !== true) throw refused('The request you have made requires authentication.')
    // A token made in the same millisecond as a revocation comes after it.
    for (const event of revoker.matching(caller)) caller.issued_ms = Math.max(caller.issued_ms, event.before_ms + 1)
    return caller
  }

  /** A verified token, read again from state; 404 where it no longer holds. */
  reread(claims: Caller, allowExpired: boolean): TokenRecord {
    const gone = () => new Fault('not_found', 'Could not find token.')
    const { deps, options, revoker } = this.#realm
    const now = deps.clock.now_ms()
    dropExpired(this.#realm)
    if (claims.expires_ms + (allowExpired ? options.allow_expired_window_ms : 0) <= now) throw gone()
    if (revoker.matching(claims).length > 0) throw gone()
    try {
      const user = this.liveUser(claims.user_id)
      let subject: Subject
      if (claims.credential_id) subject = this.#ofCredential(claims.credential_id)
      else if (claims.oauth_token_id) subject = this.#ofOAuth(claims.oauth_token_id)
      else if (claims.app_cred_id) subject = this.#ofAppCred(user, claims.app_cred_id)
      else if (claims.trust_id) subject = this.#ofTrust(this.#trusteeOf(claims.trust_id), claims.trust_id)
      else if (claims.project_id !== null) subject = this.#scope(user, { kind: 'project', project: { id: claims.project_id } })
      else if (claims.domain_id !== null) subject = this.#scope(user, { kind: 'domain', domain: { id: claims.domain_id } })
      else subject = this.#scope(user, { kind: claims.system ? 'system' : 'unscoped' })
      return this.#record(subject, this.#said(subject), claims)
    } catch {
      throw gone()
    }
  }

  /** Enabled, in an enabled domain. The message never says which. */
  liveUser(id: string): UserRow {
    const user = this.#user(id)
    if (user === undefined || !user.enabled || this.#project(user.domain_id)?.enabled !== true) throw refused('The request you have made requires authentication.')
    if (user.origin === 'federated' && this.#provider(user) === null) throw refused('The request you have made requires authentication.')
    return user
  }

  /** An enabled identity provider that vouches for the user, where one must. */
  #provider(user: UserRow): Caller['federation'] {
    if (user.origin !== 'federated') return null
    const row = federatedRowsOf(this.#realm.db, user.id).find(({ idp_id }) => providerById(this.#realm.db, idp_id)?.enabled === true)
    return row === undefined ? null : { idp_id: row.idp_id, protocol_id: row.protocol_id }
  }

  #scope(user: UserRow, scope: ScopeRequest): Subject {
    switch (scope.kind) {
      case 'unscoped':
        return bare(user)
      case 'default':
        return this.#defaultScope(user)
      case 'system': {
        const roleIds = assignedRoleIds(this.#realm.db, user.id, { type: 'system', id: SYSTEM_TARGET })
        if (roleIds.length === 0) throw refused(`User ${user.id} has no access to the system`)
        return { ...bare(user), system: true, roleIds, roles: tokenRoles(this.#realm.db, roleIds) }
      }
      case 'domain': {
        const domain = this.findDomain(scope.domain)
        if (domain === undefined) throw refused(`Could not find domain: ${scope.domain.id ?? scope.domain.name}.`)
        if (!domain.enabled) throw refused(`Domain is disabled: ${domain.id}`)
        const roleIds = assignedRoleIds(this.#realm.db, user.id, { type: 'domain', id: domain.id })
        const roles = tokenRoles(this.#realm.db, roleIds)
        if (roles.length === 0) throw refused(`User ${user.id} has no access to domain ${domain.id}`)
        return { ...bare(user), domain, roleIds, roles }
      }
      case 'project': {
        const project = this.findProject(scope.project)
        if (project === undefined) throw refused(`Could not find project: ${scope.project.id ?? scope.project.name}.`)
        return this.#onProject(user, project)
      }
      case 'trust': {
        const subject = this.#ofTrust(user, scope.trust_id)
        if (subject.trust?.remaining_uses === 0) throw new Fault('forbidden', `Unable to consume trust ${scope.trust_id}: no uses are left.`)
        return subject
      }
      default:
        return scope satisfies never
    }
  }

  /** The user's default project, where it can be used; else no scope. */
  #defaultScope(user: UserRow): Subject {
    const project = user.default_project_id === null ? undefined : this.#project(user.default_project_id)
    if (project === undefined) return bare(user)
    try {
      return this.#onProject(user, project)
    } catch {
      return bare(user)
    }
  }

  #onProject(user: UserRow, project: ProjectRow): Subject {
    const { db } = this.#realm
    if (!project.enabled) throw refused(`Project is disabled: ${project.id}`)
    const domain = project.is_domain ? project : this.#project(project.domain_id)
    if (domain?.enabled !== true) throw refused(`Domain is disabled: ${project.domain_id}`)
    const roleIds = project.is_domain ? assignedRoleIds(db, user.id, { type: 'domain', id: project.id }) : assignedRoleIds(db, user.id, { type: 'project', id: project.id }, project)
    const roles = tokenRoles(db, roleIds)
    if (roles.length === 0) throw refused(`User ${user.id} has no access to project ${project.id}`)
    return { ...bare(user), project, roleIds, roles }
  }

  #ofAppCred(user: UserRow, id: string): Subject {
    const { db, deps } = this.#realm
    const appCred = db.select().from(applicationCredentials).where(eq(applicationCredentials.id, id)).get()
    if (appCred === undefined || appCred.user_id !== user.id || endOf(appCred) <= deps.clock.now_ms()) throw refused('The request you have made requires authentication.')
    const project = this.#project(appCred.project_id)
    if (project === undefined) throw refused('The request you have made requires authentication.')
    const held = new Set(this.#onProject(user, project).roleIds)
    const all = expand(impliedMap(db), held)
    const roleIds = appCred.role_ids.filter((role) => all.has(role))
    const roles = tokenRoles(db, roleIds)
    if (roles.length === 0) throw refused(`User ${user.id} has no access to project ${project.id}`)
    return { ...bare(user), project, roleIds, roles, appCred }
  }

  /** Whoever an EC2 credential signs for: its user on its project, within the delegation that it was made by. */
  #ofCredential(id: string): Subject {
    const row = this.#realm.db.select().from(credentials).where(eq(credentials.id, id)).get()
    const project = row?.project_id == null ? undefined : this.#project(row.project_id)
    if (row === undefined || project === undefined) throw refused('The request you have made requires authentication.')
    const subject = row.trust_id !== null ? this.#ofTrust(this.#trusteeOf(row.trust_id), row.trust_id) : row.app_cred_id !== null ? this.#ofAppCred(this.liveUser(row.user_id), row.app_cred_id) : this.#onProject(this.liveUser(row.user_id), project)
    if (subject.project?.id !== project.id) throw refused('EC2 credential project does not match that of its delegation.')
    return { ...subject, credentialId: id }
  }

  /** A consumer acts with the roles that it was given, as far as the user still has them. */
  #ofOAuth(id: string): Subject {
    const { db, deps } = this.#realm
    const oauth = db.select().from(oauthAccessTokens).where(eq(oauthAccessTokens.id, id)).get()
    const project = oauth === undefined ? undefined : this.#project(oauth.project_id)
    if (oauth === undefined || project === undefined || oauth.expires_ms <= deps.clock.now_ms()) throw refused('The request you have made requires authentication.')
    const user = this.liveUser(oauth.user_id)
    const held = expand(impliedMap(db), this.#onProject(user, project).roleIds)
    const roleIds = oauth.role_ids.filter((role) => held.has(role))
    const roles = tokenRoles(db, roleIds)
    if (roles.length === 0) throw refused(`User ${user.id} has no access to project ${project.id}`)
    return { ...bare(user), project, roleIds, roles, oauth }
  }

  #trusteeOf(trustId: string): UserRow {
    const trust = this.#realm.db.select().from(trusts).where(eq(trusts.id, trustId)).get()
    return this.liveUser(trust?.trustee_user_id ?? '')
  }

  /** The trustee acts with the trustor's roles, each of which the trustor must still hold. */
  #ofTrust(trustee: UserRow, trustId: string): Subject {
    const { db, deps } = this.#realm
    const trust = db.select().from(trusts).where(eq(trusts.id, trustId)).get()
    if (trust === undefined || trust.deleted_ms !== null || endOf(trust) <= deps.clock.now_ms()) throw refused(`Could not find trust: ${trustId}.`)
    if (trust.trustee_user_id !== trustee.id) throw new Fault('forbidden', 'User is not a trustee.')
    const trustor = this.liveUser(trust.trustor_user_id)
    const user = trust.impersonation ? trustor : trustee
    if (trust.project_id === null) return { ...bare(user), trust }
    const project = this.#project(trust.project_id)
    if (project === undefined) throw refused(`Could not find project: ${trust.project_id}.`)
    const held = expand(impliedMap(db), this.#onProject(trustor, project).roleIds)
    if (trust.role_ids.some((role) => !held.has(role))) throw new Fault('forbidden', 'Trustor no longer has the roles of this trust.')
    return { ...bare(user), project, roleIds: trust.role_ids, roles: tokenRoles(db, trust.role_ids), trust }
  }

  findDomain(ref: { id?: string; name?: string }): ProjectRow | undefined {
    if (ref.id === undefined) return this.#known(projectByName(this.#realm.db, '', ref.name ?? ''))
    const row = this.#project(ref.id)
    return row?.is_domain === true ? row : undefined
  }

  findProject(ref: NameRef): ProjectRow | undefined {
    if (ref.id !== undefined) return this.#project(ref.id)
    const domain = this.findDomain(ref.domain ?? {})
    if (domain === undefined) return undefined
    return this.#known(projectByName(this.#realm.db, domain.id, ref.name ?? ''))
  }

  passwordOf(userId: string): ReturnType<typeof currentPassword> {
    if (!this.#passwords.has(userId)) this.#passwords.set(userId, currentPassword(this.#realm.db, userId))
    return this.#passwords.get(userId)
  }

  #user(id: string): UserRow | undefined {
    if (!this.#users.has(id)) this.#users.set(id, userById(this.#realm.db, id))
    return this.#users.get(id)
  }

  #project(id: string): ProjectRow | undefined {
    if (!this.#seen.has(id)) this.#seen.set(id, projectById(this.#realm.db, id))
    return this.#seen.get(id)
  }

  #known(row: ProjectRow | undefined): ProjectRow | undefined {
    if (row !== undefined) this.#seen.set(row.id, row)
    return row
  }

  domainName(id: string): string {
    return this.#project(id)?.name ?? ''
  }

  #named(id: string): Named {
    return { id, name: this.domainName(id) }
  }

  #caller(subject: Subject, rest: Pick<Caller, 'audit_ids' | 'methods' | 'issued_ms' | 'expires_ms' | 'request_id'>): Caller {
    const { user, project, domain, system } = subject
    return {
      user_id: user.id, user_name: user.name, user_domain_id: user.domain_id, project_id: project?.id ?? null, project_name: project?.name ?? null,
      project_domain_id: project === null ? null : project.is_domain ? project.id : project.domain_id, domain_id: domain?.id ?? null, system,
      roles: subject.roles.map((role) => role.name), ...rest, app_cred_id: subject.appCred?.id ?? null, trust_id: subject.trust?.id ?? null, credential_id: subject.credentialId, ...(subject.oauth === null ? {} : { oauth_token_id: subject.oauth.id }),
      ruled: subject.appCred !== null && subject.appCred.access_rule_ids !== null,
    }
  }

  #said(subject: Subject): Resolved['said'] {
    const { db, catalog } = this.#realm
    const { user, project, domain, trust, appCred } = subject
    const rules = appCred?.access_rule_ids?.flatMap((id) => db.select({ id: accessRules.id, service: accessRules.service, method: accessRules.method, path: accessRules.path }).from(accessRules).where(eq(accessRules.id, id)).all()) ?? null
    return {
      user: { id: user.id, name: user.name, domain: this.#named(user.domain_id), password_expires_ms: this.passwordOf(user.id)?.expires_ms ?? null },
      project: project === null ? null : { id: project.id, name: project.name, domain: project.is_domain ? { id: project.id, name: project.name } : this.#named(project.domain_id), is_domain: project.is_domain },
      domain: domain === null ? null : { id: domain.id, name: domain.name },
      roles: subject.roles.map(({ id, name }) => ({ id, name })),
      catalog: project === null && domain === null && !subject.system ? [] : catalog.of(project?.id ?? null),
      trust: trust === null ? null : { id: trust.id, impersonation: trust.impersonation, trustor_user_id: trust.trustor_user_id, trustee_user_id: trust.trustee_user_id },
      application_credential: appCred === null ? null : { id: appCred.id, name: appCred.name, restricted: !appCred.unrestricted, access_rules: rules },
      oauth: subject.oauth === null ? null : { access_token_id: subject.oauth.id, consumer_id: subject.oauth.consumer_id },
    }
  }

  #record({ user, trust, appCred, oauth }: Subject, said: Resolved['said'], caller: Caller): TokenRecord {
    return { ...said, caller, federation: user.origin === 'federated' && trust === null && appCred === null && oauth === null ? this.#vouched(user, caller) : null }
  }

  #vouched(user: UserRow, { federation }: Caller): TokenRecord['federation'] {
    if (!federation) return null
    const rows = this.#realm.db.select({ id: vouchedMembers.group_id }).from(vouchedMembers).where(and(eq(vouchedMembers.user_id, user.id), eq(vouchedMembers.source, sourceOf(federation.idp_id)))).all()
    return { ...federation, group_ids: rows.map((row) => row.id).sort() }
  }
}
