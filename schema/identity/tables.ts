/**
 * Tables of the Identity object. A domain is a project that acts as one (is_domain), as upstream stores it: its domain_id is '' here, so that one
 * unique index holds for both. `extra` carries attributes that Keystone accepts and returns without knowing them.
 */
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

const json = <T>(name: string) => text(name, { mode: 'json' }).$type<T>()
const bool = (name: string) => integer(name, { mode: 'boolean' })
export type Extra = Record<string, unknown>
export type Origin = 'local' | 'federated' | 'ldap'

/** Signing keys: the private seed never leaves the object; retired ones stay until the last token they signed has expired. */
export const signingKeys = sqliteTable('signing_keys', {
  kid: text('kid').primaryKey(), x: text('x').notNull(), seed: text('seed').notNull(), created_ms: integer('created_ms').notNull(),
  /** When it began to sign; null is the next one, published ahead. */
  active_ms: integer('active_ms'),
  retired_ms: integer('retired_ms'),
  /** Key that seals the seed; null is plain. */
  sealed: text('sealed'),
})

/** What the first boot made, by name: never made again, even after an operator deleted it. */
export const seeded = sqliteTable('seeded', { name: text('name').primaryKey(), at_ms: integer('at_ms').notNull() })

export const projects = sqliteTable('projects', {
  id: text('id').primaryKey(), name: text('name').notNull(), domain_id: text('domain_id').notNull(), parent_id: text('parent_id'), is_domain: bool('is_domain').notNull(), enabled: bool('enabled').notNull(),
  description: text('description').notNull(), tags: json<string[]>('tags').notNull(), options: json<Extra>('options').notNull(), extra: json<Extra>('extra').notNull(),
}, (t) => [uniqueIndex('projects_name').on(t.domain_id, t.name), index('projects_parent').on(t.parent_id), index('projects_domain_id').on(t.domain_id, t.id), index('projects_name_id').on(t.name, t.id)])

export const users = sqliteTable('users', {
  id: text('id').primaryKey(), name: text('name').notNull(), domain_id: text('domain_id').notNull(), enabled: bool('enabled').notNull(), default_project_id: text('default_project_id'),
  options: json<Extra>('options').notNull(), extra: json<Extra>('extra').notNull(), created_ms: integer('created_ms').notNull(),
  failed_count: integer('failed_count').notNull().default(0), failed_ms: integer('failed_ms'), active_ms: integer('active_ms'),
  /** Whose user it is: ours, an identity provider's or a directory's. Only our own have names of their own (users_name is a partial index). */
  origin: text('origin').$type<Origin>().notNull().default('local'),
}, (t) => [index('users_domain_id').on(t.domain_id, t.id), index('users_name_id').on(t.name, t.id), index('users_by_name').on(t.domain_id, t.name), uniqueIndex('users_name').on(t.domain_id, t.name)])

/** The newest row of a user is its password; older ones are the history. */
export const passwords = sqliteTable('passwords', {
  seq: integer('seq').primaryKey({ autoIncrement: true }), user_id: text('user_id').notNull(), hash: text('hash').notNull(), created_ms: integer('created_ms').notNull(), expires_ms: integer('expires_ms'),
  self_service: bool('self_service').notNull(),
}, (t) => [index('passwords_user').on(t.user_id)])

export const groups = sqliteTable('groups', {
  id: text('id').primaryKey(), name: text('name').notNull(), domain_id: text('domain_id').notNull(), description: text('description').notNull(), extra: json<Extra>('extra').notNull(),
  origin: text('origin').$type<Origin>().notNull().default('local'),
}, (t) => [index('groups_domain_id').on(t.domain_id, t.id), index('groups_name_id').on(t.name, t.id), index('groups_by_name').on(t.domain_id, t.name), uniqueIndex('groups_name').on(t.domain_id, t.name)])

export const groupMembers = sqliteTable('group_members', { group_id: text('group_id').notNull(), user_id: text('user_id').notNull() }, (t) => [primaryKey({ columns: [t.group_id, t.user_id] }), index('group_members_user').on(t.user_id)])

/** domain_id '' is a global role. */
export const roles = sqliteTable('roles', {
  id: text('id').primaryKey(), name: text('name').notNull(), domain_id: text('domain_id').notNull(), description: text('description'), options: json<Extra>('options').notNull(), extra: json<Extra>('extra').notNull(),
}, (t) => [uniqueIndex('roles_name').on(t.domain_id, t.name)])

export const impliedRoles = sqliteTable('implied_roles', { prior_id: text('prior_id').notNull(), implied_id: text('implied_id').notNull() }, (t) => [primaryKey({ columns: [t.prior_id, t.implied_id] })])

/** target_id of the system is 'all'. */
export const assignments = sqliteTable('assignments', {
  actor_type: text('actor_type').$type<'user' | 'group'>().notNull(), actor_id: text('actor_id').notNull(), target_type: text('target_type').$type<'project' | 'domain' | 'system'>().notNull(),
  target_id: text('target_id').notNull(), role_id: text('role_id').notNull(), inherited: bool('inherited').notNull(),
}, (t) => [primaryKey({ columns: [t.actor_id, t.target_id, t.role_id, t.inherited, t.target_type, t.actor_type] }), index('assignments_target').on(t.target_id), index('assignments_role').on(t.role_id)])

export const regions = sqliteTable('regions', { id: text('id').primaryKey(), description: text('description').notNull(), parent_region_id: text('parent_region_id'), extra: json<Extra>('extra').notNull() })

export const services = sqliteTable('services', {
  id: text('id').primaryKey(), type: text('type').notNull(), name: text('name'), description: text('description'), enabled: bool('enabled').notNull(), extra: json<Extra>('extra').notNull(),
})

/** url: literal, or with $(origin)s where the plane serves it itself. */
export const endpoints = sqliteTable('endpoints', {
  id: text('id').primaryKey(), service_id: text('service_id').notNull(), region_id: text('region_id'), interface: text('interface').notNull(), url: text('url').notNull(), enabled: bool('enabled').notNull(),
  name: text('name'), extra: json<Extra>('extra').notNull(),
}, (t) => [index('endpoints_service').on(t.service_id)])

export const credentials = sqliteTable('credentials', {
  id: text('id').primaryKey(), user_id: text('user_id').notNull(), project_id: text('project_id'), type: text('type').notNull(), blob: text('blob').notNull(),
  app_cred_id: text('app_cred_id'), trust_id: text('trust_id'), extra: json<Extra>('extra').notNull(), sealed: text('sealed'),
}, (t) => [index('credentials_user').on(t.user_id), index('credentials_sealed').on(t.sealed)])

export const applicationCredentials = sqliteTable('application_credentials', {
  id: text('id').primaryKey(), user_id: text('user_id').notNull(), project_id: text('project_id').notNull(), name: text('name').notNull(), description: text('description'), secret_hash: text('secret_hash').notNull(),
  expires_us: integer('expires_us'), unrestricted: bool('unrestricted').notNull(), system: bool('system').notNull(), role_ids: json<string[]>('role_ids').notNull(), access_rule_ids: json<string[] | null>('access_rule_ids'),
}, (t) => [uniqueIndex('application_credentials_name').on(t.user_id, t.name)])

export const accessRules = sqliteTable('access_rules', {
  id: text('id').primaryKey(), user_id: text('user_id').notNull(), service: text('service').notNull(), method: text('method').notNull(), path: text('path').notNull(),
}, (t) => [index('access_rules_user').on(t.user_id)])

export const trusts = sqliteTable('trusts', {
  id: text('id').primaryKey(), trustor_user_id: text('trustor_user_id').notNull(), trustee_user_id: text('trustee_user_id').notNull(), project_id: text('project_id'), impersonation: bool('impersonation').notNull(),
  expires_us: integer('expires_us'), remaining_uses: integer('remaining_uses'), deleted_ms: integer('deleted_ms'), redelegated_trust_id: text('redelegated_trust_id'), redelegation_count: integer('redelegation_count').notNull(),
  allow_redelegation: bool('allow_redelegation').notNull(), role_ids: json<string[]>('role_ids').notNull(), extra: json<Extra>('extra').notNull(),
}, (t) => [index('trusts_trustor').on(t.trustor_user_id), index('trusts_trustee').on(t.trustee_user_id)])

export const policies = sqliteTable('policies', { id: text('id').primaryKey(), type: text('type').notNull(), blob: json<unknown>('blob').notNull(), extra: json<Extra>('extra').notNull() })

export const endpointGroups = sqliteTable('endpoint_groups', { id: text('id').primaryKey(), name: text('name').notNull(), description: text('description'), filters: json<Record<string, string>>('filters').notNull() })

/** Catalog filters of a project: single endpoints ('endpoint') and groups ('group'). */
export const projectEndpoints = sqliteTable('project_endpoints', {
  project_id: text('project_id').notNull(), kind: text('kind').$type<'endpoint' | 'group'>().notNull(), ref_id: text('ref_id').notNull(),
}, (t) => [primaryKey({ columns: [t.project_id, t.kind, t.ref_id] }), index('project_endpoints_ref').on(t.ref_id)])

export const domainConfig = sqliteTable('domain_config', {
  domain_id: text('domain_id').notNull(), group: text('group_name').notNull(), option: text('option_name').notNull(), value: json<unknown>('value').notNull(),
  /** Sensitive ones: the key that seals the value. */
  sealed: text('sealed'),
}, (t) => [primaryKey({ columns: [t.domain_id, t.group, t.option] })])

export const registeredLimits = sqliteTable('registered_limits', {
  id: text('id').primaryKey(), service_id: text('service_id').notNull(), region_id: text('region_id'), resource_name: text('resource_name').notNull(), default_limit: integer('default_limit').notNull(), description: text('description'),
})

export const limits = sqliteTable('limits', {
  id: text('id').primaryKey(), project_id: text('project_id'), domain_id: text('domain_id'), service_id: text('service_id').notNull(), region_id: text('region_id'), resource_name: text('resource_name').notNull(),
  resource_limit: integer('resource_limit').notNull(), description: text('description'),
}, (t) => [index('limits_project').on(t.project_id)])

/** OAuth1: who may ask for delegations. Secrets are under the key that `sealed` names. */
export const consumers = sqliteTable('consumers', { id: text('id').primaryKey(), description: text('description'), secret: text('secret').notNull(), extra: json<Extra>('extra').notNull(), sealed: text('sealed') })
/** What a consumer asks for; user, roles and verifier once somebody authorized it. */
export const oauthRequestTokens = sqliteTable('oauth_request_tokens', {
  id: text('id').primaryKey(), secret: text('secret').notNull(), sealed: text('sealed'), consumer_id: text('consumer_id').notNull(), project_id: text('project_id').notNull(), verifier: text('verifier'), user_id: text('user_id'), role_ids: json<string[]>('role_ids'),
  expires_ms: integer('expires_ms').notNull(),
}, (t) => [index('oauth_request_tokens_consumer').on(t.consumer_id)])
export const oauthAccessTokens = sqliteTable('oauth_access_tokens', {
  id: text('id').primaryKey(), secret: text('secret').notNull(), sealed: text('sealed'), consumer_id: text('consumer_id').notNull(), project_id: text('project_id').notNull(), user_id: text('user_id').notNull(), role_ids: json<string[]>('role_ids').notNull(),
  expires_ms: integer('expires_ms').notNull(),
}, (t) => [index('oauth_access_tokens_consumer').on(t.consumer_id), index('oauth_access_tokens_user').on(t.user_id)])
/** A signed request is taken once. */
export const oauthNonces = sqliteTable('oauth_nonces', { digest: text('digest').primaryKey(), expires_ms: integer('expires_ms').notNull() }, (t) => [index('oauth_nonces_expires').on(t.expires_ms)])

/** The newest step whose passcode was used, per credential: a passcode is good once. */
export const totpUsed = sqliteTable('totp_used', { credential_id: text('credential_id').primaryKey(), step: integer('step').notNull() })

/** What a login has proved so far; the receipt itself is not kept. */
export const receipts = sqliteTable('receipts', {
  digest: text('digest').primaryKey(), user_id: text('user_id').notNull(), methods: json<string[]>('methods').notNull(), issued_ms: integer('issued_ms').notNull(), expires_ms: integer('expires_ms').notNull(),
}, (t) => [index('receipts_expires').on(t.expires_ms)])

/** Every revocation, in order, for readers that end in no object (object data, doors) and for the revocation events API. */
export const revocationLog = sqliteTable('revocation_log', {
  seq: integer('seq').primaryKey({ autoIncrement: true }), at_ms: integer('at_ms').notNull(), scope: text('scope').notNull(), subject: text('subject').notNull(), before_ms: integer('before_ms').notNull(), expires_ms: integer('expires_ms').notNull(),
}, (t) => [index('revocation_log_expires').on(t.expires_ms)])

/** Pushes not yet confirmed by every object concerned: repeated by alarm until they are. */
export const revocationPushes = sqliteTable('revocation_pushes', {
  seq: integer('seq').primaryKey({ autoIncrement: true }), events: json<unknown[]>('events').notNull(), project_ids: json<string[]>('project_ids').notNull(), at_ms: integer('at_ms').notNull(),
})

export const identityProviders = sqliteTable('identity_providers', {
  id: text('id').primaryKey(), domain_id: text('domain_id').notNull(), enabled: bool('enabled').notNull(), description: text('description'),
  /** Minutes that memberships given by a mapping hold; null is the deployment's default. */
  authorization_ttl: integer('authorization_ttl'),
  remote_ids: json<string[]>('remote_ids').notNull(),
})

export const federationProtocols = sqliteTable('federation_protocols', {
  idp_id: text('idp_id').notNull(), id: text('id').notNull(), mapping_id: text('mapping_id').notNull(), remote_id_attribute: text('remote_id_attribute'),
}, (t) => [primaryKey({ columns: [t.idp_id, t.id] }), index('federation_protocols_mapping').on(t.mapping_id)])

/** How a protocol verifies OpenID Connect tokens. The client's secret is beside it, so that what is shown never has it. */
export const federationOidc = sqliteTable('federation_oidc', {
  idp_id: text('idp_id').notNull(), protocol_id: text('protocol_id').notNull(), config: json<Extra>('config').notNull(), client_secret: text('client_secret'), sealed: text('sealed'),
}, (t) => [primaryKey({ columns: [t.idp_id, t.protocol_id] })])

export const mappings = sqliteTable('mappings', { id: text('id').primaryKey(), rules: json<unknown[]>('rules').notNull(), schema_version: text('schema_version').notNull() })

export const serviceProviders = sqliteTable('service_providers', {
  id: text('id').primaryKey(), auth_url: text('auth_url').notNull(), sp_url: text('sp_url').notNull(), enabled: bool('enabled').notNull(), description: text('description'), relay_state_prefix: text('relay_state_prefix').notNull(),
})

/** Who a provider's user is here. */
export const federatedUsers = sqliteTable('federated_users', {
  idp_id: text('idp_id').notNull(), protocol_id: text('protocol_id').notNull(), unique_id: text('unique_id').notNull(), user_id: text('user_id').notNull(),
}, (t) => [primaryKey({ columns: [t.idp_id, t.protocol_id, t.unique_id] }), index('federated_users_user').on(t.user_id)])

/** Memberships that an identity provider or a directory vouched for; they end by themselves. */
export const vouchedMembers = sqliteTable('vouched_members', {
  user_id: text('user_id').notNull(), group_id: text('group_id').notNull(), source: text('source').notNull(), expires_ms: integer('expires_ms').notNull(),
}, (t) => [primaryKey({ columns: [t.user_id, t.group_id, t.source] }), index('vouched_members_group').on(t.group_id), index('vouched_members_expires').on(t.expires_ms)])

/** Browser logins that were completed: each state serves once. */
export const webssoUsed = sqliteTable('websso_used', { state: text('state').primaryKey(), expires_ms: integer('expires_ms').notNull() })

/** Seals what a browser keeps for us while it is at its provider. */
export const webssoSecrets = sqliteTable('websso_secrets', { secret: text('secret').primaryKey(), created_ms: integer('created_ms').notNull(), sealed: text('sealed') })

/** What users and groups of a directory are called there: their ids here are made of it, and it cannot be made of their ids. */
export const directoryEntries = sqliteTable('directory_entries', {
  public_id: text('public_id').primaryKey(), domain_id: text('domain_id').notNull(), kind: text('kind').$type<'user' | 'group'>().notNull(), local_id: text('local_id').notNull(), dn: text('dn').notNull(),
}, (t) => [index('directory_entries_domain').on(t.domain_id)])

/** Which policy holds for an endpoint, for a service, or for a service in a region; '' is no part of the place. */
export const policyAssociations = sqliteTable('policy_associations', {
  endpoint_id: text('endpoint_id').notNull(), service_id: text('service_id').notNull(), region_id: text('region_id').notNull(), policy_id: text('policy_id').notNull(),
}, (t) => [primaryKey({ columns: [t.endpoint_id, t.service_id, t.region_id] }), index('policy_associations_policy').on(t.policy_id)])
