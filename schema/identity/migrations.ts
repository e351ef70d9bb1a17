/** Migrations of the Identity object, in order. Append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const migrations: Migration[] = [
  {
    name: 'identity/0001',
    sql: `
CREATE TABLE access_rules (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, service TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL
);
CREATE INDEX access_rules_user ON access_rules (user_id);
CREATE TABLE application_credentials (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, project_id TEXT NOT NULL, name TEXT NOT NULL, description TEXT, secret_hash TEXT NOT NULL,
  expires_us INTEGER, unrestricted INTEGER NOT NULL, system INTEGER NOT NULL, role_ids TEXT NOT NULL, access_rule_ids TEXT
);
CREATE UNIQUE INDEX application_credentials_name ON application_credentials (user_id, name);
CREATE TABLE assignments (
  actor_type TEXT NOT NULL, actor_id TEXT NOT NULL, target_type TEXT NOT NULL, target_id TEXT NOT NULL, role_id TEXT NOT NULL,
  inherited INTEGER NOT NULL, PRIMARY KEY (actor_id, target_id, role_id, inherited, target_type, actor_type)
);
CREATE INDEX assignments_target ON assignments (target_id);
CREATE INDEX assignments_role ON assignments (role_id);
CREATE TABLE consumers (
  id TEXT PRIMARY KEY, description TEXT, secret TEXT NOT NULL, extra TEXT NOT NULL
);
CREATE TABLE credentials (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, project_id TEXT, type TEXT NOT NULL, blob TEXT NOT NULL, app_cred_id TEXT, trust_id TEXT,
  extra TEXT NOT NULL
);
CREATE INDEX credentials_user ON credentials (user_id);
CREATE TABLE domain_config (
  domain_id TEXT NOT NULL, group_name TEXT NOT NULL, option_name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (domain_id, group_name, option_name)
);
CREATE TABLE endpoint_groups (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, filters TEXT NOT NULL
);
CREATE TABLE endpoints (
  id TEXT PRIMARY KEY, service_id TEXT NOT NULL, region_id TEXT, interface TEXT NOT NULL, url TEXT NOT NULL, enabled INTEGER NOT NULL, name TEXT,
  extra TEXT NOT NULL
);
CREATE INDEX endpoints_service ON endpoints (service_id);
CREATE TABLE group_members (
  group_id TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_user ON group_members (user_id);
CREATE TABLE groups (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, domain_id TEXT NOT NULL, description TEXT NOT NULL, extra TEXT NOT NULL
);
CREATE UNIQUE INDEX groups_name ON groups (domain_id, name);
CREATE TABLE implied_roles (
  prior_id TEXT NOT NULL, implied_id TEXT NOT NULL, PRIMARY KEY (prior_id, implied_id)
);
CREATE TABLE limits (
  id TEXT PRIMARY KEY, project_id TEXT, domain_id TEXT, service_id TEXT NOT NULL, region_id TEXT, resource_name TEXT NOT NULL,
  resource_limit INTEGER NOT NULL, description TEXT
);
CREATE INDEX limits_project ON limits (project_id);
CREATE TABLE passwords (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL, hash TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER,
  self_service INTEGER NOT NULL
);
CREATE INDEX passwords_user ON passwords (user_id);
CREATE TABLE policies (
  id TEXT PRIMARY KEY, type TEXT NOT NULL, blob TEXT NOT NULL, extra TEXT NOT NULL
);
CREATE TABLE project_endpoints (
  project_id TEXT NOT NULL, kind TEXT NOT NULL, ref_id TEXT NOT NULL, PRIMARY KEY (project_id, kind, ref_id)
);
CREATE INDEX project_endpoints_ref ON project_endpoints (ref_id);
CREATE TABLE projects (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, domain_id TEXT NOT NULL, parent_id TEXT, is_domain INTEGER NOT NULL, enabled INTEGER NOT NULL,
  description TEXT NOT NULL, tags TEXT NOT NULL, options TEXT NOT NULL, extra TEXT NOT NULL
);
CREATE UNIQUE INDEX projects_name ON projects (domain_id, name);
CREATE INDEX projects_parent ON projects (parent_id);
CREATE TABLE regions (
  id TEXT PRIMARY KEY, description TEXT NOT NULL, parent_region_id TEXT, extra TEXT NOT NULL
);
CREATE TABLE registered_limits (
  id TEXT PRIMARY KEY, service_id TEXT NOT NULL, region_id TEXT, resource_name TEXT NOT NULL, default_limit INTEGER NOT NULL, description TEXT
);
CREATE TABLE revocation_log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, scope TEXT NOT NULL, subject TEXT NOT NULL, before_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
);
CREATE INDEX revocation_log_expires ON revocation_log (expires_ms);
CREATE TABLE revocation_pushes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, events TEXT NOT NULL, project_ids TEXT NOT NULL, at_ms INTEGER NOT NULL
);
CREATE TABLE roles (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, domain_id TEXT NOT NULL, description TEXT, options TEXT NOT NULL, extra TEXT NOT NULL
);
CREATE UNIQUE INDEX roles_name ON roles (domain_id, name);
CREATE TABLE seeded (
  name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL
);
CREATE TABLE services (
  id TEXT PRIMARY KEY, type TEXT NOT NULL, name TEXT, description TEXT, enabled INTEGER NOT NULL, extra TEXT NOT NULL
);
CREATE TABLE signing_keys (
  kid TEXT PRIMARY KEY, x TEXT NOT NULL, seed TEXT NOT NULL, created_ms INTEGER NOT NULL, active_ms INTEGER, retired_ms INTEGER
);
CREATE TABLE trusts (
  id TEXT PRIMARY KEY, trustor_user_id TEXT NOT NULL, trustee_user_id TEXT NOT NULL, project_id TEXT, impersonation INTEGER NOT NULL,
  expires_us INTEGER, remaining_uses INTEGER, deleted_ms INTEGER, redelegated_trust_id TEXT, redelegation_count INTEGER NOT NULL,
  allow_redelegation INTEGER NOT NULL, role_ids TEXT NOT NULL, extra TEXT NOT NULL
);
CREATE INDEX trusts_trustor ON trusts (trustor_user_id);
CREATE INDEX trusts_trustee ON trusts (trustee_user_id);
CREATE TABLE users (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, domain_id TEXT NOT NULL, enabled INTEGER NOT NULL, default_project_id TEXT, options TEXT NOT NULL,
  extra TEXT NOT NULL, created_ms INTEGER NOT NULL, failed_count INTEGER NOT NULL DEFAULT 0, failed_ms INTEGER, active_ms INTEGER
);
CREATE UNIQUE INDEX users_name ON users (domain_id, name);
`,
  },
  {
    name: 'identity/multi-factor-0001',
    sql: `
CREATE TABLE totp_used (credential_id TEXT PRIMARY KEY, step INTEGER NOT NULL);
CREATE TABLE receipts (digest TEXT PRIMARY KEY, user_id TEXT NOT NULL, methods TEXT NOT NULL, issued_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL);
CREATE INDEX receipts_expires ON receipts (expires_ms);
`,
  },
  {
    name: 'identity/federation-1',
    sql: `
ALTER TABLE users ADD COLUMN origin TEXT NOT NULL DEFAULT 'local';
ALTER TABLE groups ADD COLUMN origin TEXT NOT NULL DEFAULT 'local';
DROP INDEX users_name;
DROP INDEX groups_name;
CREATE UNIQUE INDEX users_name ON users (domain_id, name) WHERE origin = 'local';
CREATE UNIQUE INDEX groups_name ON groups (domain_id, name) WHERE origin = 'local';
CREATE INDEX users_by_name ON users (domain_id, name);
CREATE INDEX groups_by_name ON groups (domain_id, name);
CREATE TABLE identity_providers (
  id TEXT PRIMARY KEY, domain_id TEXT NOT NULL, enabled INTEGER NOT NULL, description TEXT, authorization_ttl INTEGER, remote_ids TEXT NOT NULL
);
CREATE TABLE federation_protocols (
  idp_id TEXT NOT NULL, id TEXT NOT NULL, mapping_id TEXT NOT NULL, remote_id_attribute TEXT, PRIMARY KEY (idp_id, id)
);
CREATE INDEX federation_protocols_mapping ON federation_protocols (mapping_id);
CREATE TABLE federation_oidc (
  idp_id TEXT NOT NULL, protocol_id TEXT NOT NULL, config TEXT NOT NULL, client_secret TEXT, PRIMARY KEY (idp_id, protocol_id)
);
CREATE TABLE mappings (
  id TEXT PRIMARY KEY, rules TEXT NOT NULL, schema_version TEXT NOT NULL
);
CREATE TABLE service_providers (
  id TEXT PRIMARY KEY, auth_url TEXT NOT NULL, sp_url TEXT NOT NULL, enabled INTEGER NOT NULL, description TEXT, relay_state_prefix TEXT NOT NULL
);
CREATE TABLE federated_users (
  idp_id TEXT NOT NULL, protocol_id TEXT NOT NULL, unique_id TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (idp_id, protocol_id, unique_id)
);
CREATE INDEX federated_users_user ON federated_users (user_id);
CREATE TABLE vouched_members (
  user_id TEXT NOT NULL, group_id TEXT NOT NULL, source TEXT NOT NULL, expires_ms INTEGER NOT NULL, PRIMARY KEY (user_id, group_id, source)
);
CREATE INDEX vouched_members_group ON vouched_members (group_id);
CREATE INDEX vouched_members_expires ON vouched_members (expires_ms);
CREATE TABLE websso_used (
  state TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL
);
CREATE TABLE websso_secrets (
  secret TEXT PRIMARY KEY, created_ms INTEGER NOT NULL
);
`,
  },
  {
    name: 'identity/sealed-0001',
    sql: `
ALTER TABLE credentials ADD COLUMN sealed TEXT;
CREATE INDEX credentials_sealed ON credentials (sealed);
ALTER TABLE signing_keys ADD COLUMN sealed TEXT;
`,
  },
  {
    name: 'identity/endpoint-policy-1',
    sql: `
CREATE TABLE policy_associations (
  endpoint_id TEXT NOT NULL, service_id TEXT NOT NULL, region_id TEXT NOT NULL, policy_id TEXT NOT NULL, PRIMARY KEY (endpoint_id, service_id, region_id)
);
CREATE INDEX policy_associations_policy ON policy_associations (policy_id);
`,
  },
  {
    name: 'identity/directory-1',
    sql: `
CREATE TABLE directory_entries (
  public_id TEXT PRIMARY KEY, domain_id TEXT NOT NULL, kind TEXT NOT NULL, local_id TEXT NOT NULL, dn TEXT NOT NULL
);
CREATE INDEX directory_entries_domain ON directory_entries (domain_id);
ALTER TABLE domain_config ADD COLUMN sealed TEXT;
ALTER TABLE federation_oidc ADD COLUMN sealed TEXT;
ALTER TABLE websso_secrets ADD COLUMN sealed TEXT;
`,
  },
  {
    name: 'identity/pages-1',
    sql: `
CREATE INDEX users_domain_id ON users (domain_id, id);
CREATE INDEX users_name_id ON users (name, id);
CREATE INDEX projects_domain_id ON projects (domain_id, id);
CREATE INDEX projects_name_id ON projects (name, id);
CREATE INDEX groups_domain_id ON groups (domain_id, id);
CREATE INDEX groups_name_id ON groups (name, id);
`,
  },
  {
    name: 'identity/oauth1-1',
    sql: `
ALTER TABLE consumers ADD COLUMN sealed TEXT;
-- The change log remembered secrets of consumers. A new object makes its log after this.
CREATE TABLE IF NOT EXISTS _changes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, request_id TEXT NOT NULL, user_id TEXT NOT NULL,
  kind TEXT NOT NULL, resource_id TEXT NOT NULL, action TEXT NOT NULL, before TEXT, after TEXT);
UPDATE _changes SET before = json_remove(before, '$.secret'), after = json_remove(after, '$.secret') WHERE kind = 'consumer';
CREATE TABLE oauth_request_tokens (
  id TEXT PRIMARY KEY, secret TEXT NOT NULL, sealed TEXT, consumer_id TEXT NOT NULL, project_id TEXT NOT NULL, verifier TEXT, user_id TEXT, role_ids TEXT, expires_ms INTEGER NOT NULL
);
CREATE INDEX oauth_request_tokens_consumer ON oauth_request_tokens (consumer_id);
CREATE TABLE oauth_access_tokens (
  id TEXT PRIMARY KEY, secret TEXT NOT NULL, sealed TEXT, consumer_id TEXT NOT NULL, project_id TEXT NOT NULL, user_id TEXT NOT NULL, role_ids TEXT NOT NULL, expires_ms INTEGER NOT NULL
);
CREATE INDEX oauth_access_tokens_consumer ON oauth_access_tokens (consumer_id);
CREATE INDEX oauth_access_tokens_user ON oauth_access_tokens (user_id);
CREATE TABLE oauth_nonces (digest TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL);
CREATE INDEX oauth_nonces_expires ON oauth_nonces (expires_ms);
`,
  },
]
