/** The way in for those whom an identity provider vouches for: finds or makes who they are here, with the groups and projects of the mapping, and gives them a token. Runs in the Identity object. */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq } from 'drizzle-orm'
import type { Tx } from '../../../../durable-objects/kernel/deps.ts'
import { assignments, federatedUsers, federationOidc, federationProtocols, groups, identityProviders, mappings, projects, roles, users } from '../../../../schema/identity/tables.ts'
import { type Caller, systemCaller } from '../../../../schema/values/caller.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { projectById } from '../../assignments/effective.ts'
import { type Realm, commit, notFound } from '../../kernel/realm.ts'
import { merged } from '../../kernel/store.ts'
import { makeReceipt } from '../../mfa/receipts.ts'
import { rulesMet } from '../../mfa/rules.ts'
import { Projects } from '../../projects/store.ts'
import { Issuer } from '../../tokens/issue.ts'
import type { Issued } from '../../tokens/scope.ts'
import type { DomainRef, Mapped, ProjectRef, Rule } from '../mappings/rules.ts'
import { type OidcConfig, oidcSecretRow } from '../protocols/store.ts'
import { vouch } from '../memberships.ts'
import { publicId } from '../public-id.ts'
import { type ProviderRow, dropExpired, providerById, sourceOf } from '../rows.ts'
import { Websso } from './websso-store.ts'

const MINUTE_MS = 60_000
const TEXT_CHARS_MAX = 255
export const GROUPS_MAX = 1_000

/** All that the Worker needs to judge what comes by a protocol. */
export interface ProtocolFacts {
  idp_id: string
  protocol_id: string
  remote_ids: string[]
  remote_id_attribute: string | null
  mapping_id: string
  rules: Rule[]
  schema_version: string
  /** null: nobody has said how its tokens are verified. */
  oidc: OidcConfig | null
  client_secret: string | null
}

export interface Entering {
  idp_id: string
  protocol_id: string
  mapping_id: string
  schema_version: string
  mapped: Mapped
  request_id: string
  address: string | null
}

type UserRow = typeof users.$inferSelect
const denied = (message = 'The request you have made requires authentication.') => new Fault('unauthorized', message)

/** As upstream writes a name where an id is wanted: percent-encoded but for '/'. */
const quoted = (text: string) => encodeURIComponent(text.toWellFormed()).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll('%2F', '/')

export class FederatedLogin extends RpcTarget {
  #realm: Realm
  constructor(realm: Realm) {
    super()
    this.#realm = realm
  }

  /** What a browser login keeps between its two halves. */
  get websso(): Websso {
    return new Websso(this.#realm)
  }

  /** `address`: where somebody with a token or a code comes from, whom `enter` gives back what it takes there. */
  facts(idpId: string, protocolId: string, address: string | null = null): ProtocolFacts {
    const { db } = this.#realm
    this.#realm.attempts.take(address)
    const idp = this.#provider(idpId)
    const protocol = db.select().from(federationProtocols).where(and(eq(federationProtocols.idp_id, idpId), eq(federationProtocols.id, protocolId))).get()
    if (protocol === undefined) throw notFound(`federated protocol ${protocolId} for Identity Provider`, idpId)
    const mapping = db.select().from(mappings).where(eq(mappings.id, protocol.mapping_id)).get()
    const oidc = db.select().from(federationOidc).where(and(eq(federationOidc.idp_id, idpId), eq(federationOidc.protocol_id, protocolId))).get()
    return {
      idp_id: idpId, protocol_id: protocolId, remote_ids: idp.remote_ids, remote_id_attribute: protocol.remote_id_attribute, mapping_id: protocol.mapping_id, rules: (mapping?.rules ?? []) as Rule[],
      schema_version: mapping?.schema_version ?? '1.0',
      oidc: (oidc?.config as unknown as OidcConfig | undefined) ?? null, client_secret: oidc?.client_secret == null ? null : this.#realm.vault.open({ text: oidc.client_secret, sealed: oidc.sealed }, oidcSecretRow(idpId, protocolId)),
    }
  }

  /** Enabled providers that have the protocol: a browser that names none may be led to the only one. */
  providersOf(protocolId: string): string[] {
    const { db } = this.#realm
    const having = new Set(db.select().from(federationOidc).where(eq(federationOidc.protocol_id, protocolId)).all().map((row) => row.idp_id))
    return db.select().from(identityProviders).all().filter((row) => row.enabled && having.has(row.id)).map((row) => row.id)
  }

  /** An unscoped token for the user that a mapping found. */
  async enter(entering: Entering): Promise<Issued> {
    const { revoker, deps } = this.#realm
    dropExpired(this.#realm)
    const [userId, seq] = commit(this.#realm, { request_id: entering.request_id, user_id: `federation:${entering.idp_id}` }, (tx) => {
      const idp = this.#provider(entering.idp_id)
      const user = entering.mapped.user.type === 'local' ? this.#local(entering.mapped) : this.#shadow(tx, idp, entering)
      new Issuer(this.#realm).liveUser(user.id)
      if (entering.mapped.user.type === 'local') return [user.id, 0] as const
      this.#provision(idp, user, entering)
      return [user.id, this.#join(tx, idp, user.id, this.#groups(entering))] as const
    })
    await revoker.pushed(seq)
    this.#realm.attempts.giveBack(entering.address)
    const { idp_id, protocol_id, request_id } = entering
    deps.log('federation.entered', { idp_id, protocol_id, user_id: userId, request_id })
    const issuer = new Issuer(this.#realm)
    const user = issuer.liveUser(userId)
    // Whoever must prove more than one thing must do so this way too.
    if (!rulesMet(user.options, [protocol_id, 'mapped'])) throw makeReceipt(this.#realm, user, issuer.domainName(user.domain_id), [protocol_id])
    return await issuer.issue({ user_id: userId, methods: [protocol_id], scope: { kind: 'unscoped' }, parent: null, app_cred_id: null, password: null, request_id, federation: { idp_id, protocol_id } })
  }

  #provider(id: string): ProviderRow {
    const idp = providerById(this.#realm.db, id)
    if (idp === undefined) throw notFound('Identity Provider', id)
    if (!idp.enabled) throw new Fault('forbidden', `Identity Provider ${id} is disabled.`)
    if (projectById(this.#realm.db, idp.domain_id)?.enabled !== true) throw denied()
    return idp
  }

  #domainId(ref: DomainRef): string | undefined {
    const { db } = this.#realm
    if (ref.id !== undefined) return projectById(db, ref.id)?.is_domain ? ref.id : undefined
    return db.select().from(projects).where(and(eq(projects.name, ref.name ?? ''), eq(projects.is_domain, true))).get()?.id
  }

  /** A user of our own whom the mapping names. Never one that another provider or a directory vouches for. */
  #local({ user }: Mapped): UserRow {
    const { db } = this.#realm
    const domainId = user.id === undefined ? this.#domainId(user.domain ?? {}) : undefined
    const where = user.id === undefined ? and(eq(users.domain_id, domainId ?? ''), eq(users.name, user.name ?? ''), eq(users.origin, 'local')) : and(eq(users.id, user.id), eq(users.origin, 'local'))
    const row = db.select().from(users).where(where).get()
    if (row === undefined) throw denied()
    return row
  }

  /** The provider's user, made at its first login, with what the provider says of it today. */
  #shadow(tx: Tx, idp: ProviderRow, { protocol_id, mapped, schema_version }: Entering): UserRow {
    const { db } = tx
    const name = mapped.user.name ?? mapped.user.id ?? ''
    const unique_id = quoted(mapped.user.id ?? mapped.user.name ?? '')
    if (unique_id === '') throw denied('Could not map user while setting ephemeral user identity: the mapping gave neither an id nor a name.')
    if (unique_id.length > TEXT_CHARS_MAX || name.length > TEXT_CHARS_MAX || (mapped.user.email ?? '').length > TEXT_CHARS_MAX) throw denied(`The mapping gave a name, id or email of more than ${TEXT_CHARS_MAX} characters.`)
    const domain_id = this.#domainOf(idp, mapped.user.domain, schema_version)
    const linked = db.select().from(federatedUsers).where(and(eq(federatedUsers.idp_id, idp.id), eq(federatedUsers.protocol_id, protocol_id), eq(federatedUsers.unique_id, unique_id))).get()
    const id = linked?.user_id ?? publicId(domain_id, 'user', unique_id)
    const before = db.select().from(users).where(eq(users.id, id)).get()
    // Two providers may share a domain; what one calls bob is not the other's bob.
    if (linked === undefined && before !== undefined && !this.#vouches(idp.id, id)) throw denied('Another identity provider has vouched for a user of this name in this domain.')
    const said = { name, extra: mapped.user.email === undefined ? {} : { email: mapped.user.email } }
    if (before === undefined) {
      const row: UserRow = { id, ...said, domain_id, enabled: true, default_project_id: null, options: {}, created_ms: tx.now_ms, failed_count: 0, failed_ms: null, active_ms: null, origin: 'federated' }
      db.insert(users).values(row).run()
      tx.change('user', id, 'create', null, { id, name, domain_id, idp_id: idp.id, protocol_id, unique_id })
    } else {
      const row = merged(before, said)
      if (row.name !== before.name || row.extra.email !== before.extra.email) {
        db.update(users).set(said.extra.email === undefined ? { name } : { name, extra: row.extra }).where(eq(users.id, id)).run()
        tx.change('user', id, 'update', { name: before.name }, { name })
      }
    }
    if (linked === undefined) db.insert(federatedUsers).values({ idp_id: idp.id, protocol_id, unique_id, user_id: id }).run()
    return db.select().from(users).where(eq(users.id, id)).get() as UserRow
  }

  #vouches(idpId: string, userId: string): boolean {
    return this.#realm.db.select().from(federatedUsers).where(and(eq(federatedUsers.idp_id, idpId), eq(federatedUsers.user_id, userId))).get() !== undefined
  }

  /** Only mappings of version 2.0 put users elsewhere than in the provider's domain. */
  #domainOf(idp: ProviderRow, given: DomainRef | undefined, version: string): string {
    if (given === undefined || version !== '2.0') return idp.domain_id
    const id = this.#domainId(given)
    if (id === undefined) throw denied(`Could not find domain: ${given.id ?? given.name}.`)
    return id
  }

  #groups({ mapped, mapping_id }: Entering): Set<string> {
    const { db } = this.#realm
    const ids = new Set<string>()
    for (const id of mapped.group_ids) {
      if (db.select({ id: groups.id }).from(groups).where(eq(groups.id, id)).get() === undefined) throw denied(`Group ${id} returned by mapping ${mapping_id} was not found in the backend.`)
      ids.add(id)
    }
    // By name: those that are not here are left out, as upstream does.
    for (const { name, domain } of mapped.groups) {
      const row = db.select({ id: groups.id }).from(groups).where(and(eq(groups.domain_id, this.#domainId(domain) ?? ''), eq(groups.name, name))).get()
      if (row !== undefined) ids.add(row.id)
    }
    if (ids.size > GROUPS_MAX) throw denied(`The mapping gave more than ${GROUPS_MAX} groups.`)
    return ids
  }

  /** Memberships are what the provider said last. They hold for authorization_ttl, and at least as long as the token of this login. */
  #join(tx: Tx, idp: ProviderRow, user_id: string, wanted: Set<string>): number {
    const ttl_ms = (idp.authorization_ttl ?? this.#realm.options.federation.default_authorization_ttl) * MINUTE_MS
    return vouch(this.#realm, tx, { user_id, source: sourceOf(idp.id), wanted, ttl_ms })
  }

  /** Projects that the mapping names are made where they are not, and the user gets its roles there. */
  #provision(idp: ProviderRow, user: UserRow, { mapped, schema_version, request_id }: Entering): void {
    const caller = systemCaller(request_id)
    for (const ref of mapped.projects) {
      const domain_id = this.#domainOf(idp, ref.domain, schema_version)
      const found = this.#realm.db.select().from(projects).where(and(eq(projects.domain_id, domain_id), eq(projects.name, ref.name))).get()
      const project = found ?? new Projects(this.#realm, caller).create({ name: ref.name, domain_id })
      for (const role of ref.roles) this.#grant(caller, user.id, project.id, this.#role(idp, role))
    }
  }

  #role(idp: ProviderRow, ref: ProjectRef['roles'][number]): string {
    const { db } = this.#realm
    const domainId = ref.domain === undefined ? '' : (this.#domainId(ref.domain) ?? 'none')
    const row = db.select({ id: roles.id }).from(roles).where(and(eq(roles.name, ref.name), eq(roles.domain_id, domainId))).get()
    if (row === undefined || (domainId !== '' && domainId !== idp.domain_id)) throw denied(`Could not find role: ${ref.name}.`)
    return row.id
  }

  #grant(caller: Caller, userId: string, projectId: string, roleId: string): void {
    const grant = { actor_type: 'user' as const, actor_id: userId, target_type: 'project' as const, target_id: projectId, role_id: roleId, inherited: false }
    commit(this.#realm, caller, (tx) => {
      const known = tx.db.select().from(assignments).where(and(eq(assignments.actor_id, userId), eq(assignments.target_id, projectId), eq(assignments.role_id, roleId), eq(assignments.inherited, false))).get()
      if (known !== undefined) return
      tx.db.insert(assignments).values(grant).run()
      tx.change('assignment', userId, 'create', null, grant)
    })
  }
}
