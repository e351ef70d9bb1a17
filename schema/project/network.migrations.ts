/** Migrations of network in a Project object: append only. */
import type { Migration } from '../../durable-objects/kernel/migrate.ts'

export const networkMigrations: Migration[] = [
  {
    name: 'network/0001',
    sql: `
CREATE TABLE net_address_scopes (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, revision_number INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, tags TEXT NOT NULL, ip_version INTEGER NOT NULL, shared INTEGER NOT NULL);
CREATE TABLE net_addresses (
  subnet_id TEXT NOT NULL, ip TEXT NOT NULL, network_id TEXT NOT NULL, holder_id TEXT NOT NULL, PRIMARY KEY (subnet_id, ip));
CREATE INDEX net_addresses_holder ON net_addresses (holder_id);
CREATE INDEX net_addresses_network ON net_addresses (network_id);
CREATE TABLE net_carriers (
  network_id TEXT NOT NULL, project_id TEXT NOT NULL, host_id TEXT NOT NULL, PRIMARY KEY (network_id, project_id, host_id));
CREATE TABLE net_claims (
  holder_id TEXT PRIMARY KEY, kind TEXT NOT NULL, network_id TEXT NOT NULL, project_id TEXT NOT NULL, mac_address TEXT, created_ms INTEGER NOT NULL);
CREATE INDEX net_claims_network ON net_claims (network_id);
CREATE UNIQUE INDEX net_claims_mac ON net_claims (network_id, mac_address);
CREATE TABLE net_floating_ips (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, revision_number INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, tags TEXT NOT NULL, floating_network_id TEXT NOT NULL, network_owner_id TEXT, floating_ip_address TEXT NOT NULL,
  subnet_id TEXT NOT NULL, status TEXT NOT NULL, router_id TEXT, port_id TEXT, fixed_ip_address TEXT, dns_name TEXT NOT NULL, dns_domain TEXT NOT NULL);
CREATE INDEX net_floating_ips_port ON net_floating_ips (port_id);
CREATE INDEX net_floating_ips_router ON net_floating_ips (router_id);
CREATE TABLE net_foreign_networks (
  id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, version INTEGER NOT NULL, data TEXT NOT NULL);
CREATE TABLE net_free_ranges (
  subnet_id TEXT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL, PRIMARY KEY (subnet_id, first));
CREATE TABLE net_hosted (
  kind TEXT NOT NULL, id TEXT NOT NULL, host_id TEXT NOT NULL, state TEXT NOT NULL, generation INTEGER NOT NULL, sent INTEGER NOT NULL,
  status TEXT NOT NULL, PRIMARY KEY (kind, id, host_id));
CREATE TABLE net_items (
  kind TEXT NOT NULL, id TEXT NOT NULL, generation INTEGER NOT NULL, dirty INTEGER NOT NULL, spec TEXT, PRIMARY KEY (kind, id));
CREATE INDEX net_items_dirty ON net_items (dirty);
CREATE TABLE net_networks (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, revision_number INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, tags TEXT NOT NULL, admin_state_up INTEGER NOT NULL, status TEXT NOT NULL, shared INTEGER NOT NULL,
  external INTEGER NOT NULL, is_default INTEGER NOT NULL, mtu INTEGER NOT NULL, port_security_enabled INTEGER NOT NULL, network_type TEXT NOT NULL,
  physical_network TEXT, segment_id INTEGER, dns_domain TEXT NOT NULL, availability_zone_hints TEXT NOT NULL);
CREATE TABLE net_ports (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, revision_number INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, tags TEXT NOT NULL, network_id TEXT NOT NULL, network_owner_id TEXT, mac_address TEXT NOT NULL,
  admin_state_up INTEGER NOT NULL, status TEXT NOT NULL, device_id TEXT NOT NULL, device_owner TEXT NOT NULL, fixed_ips TEXT NOT NULL,
  security_groups TEXT NOT NULL, allowed_address_pairs TEXT NOT NULL, extra_dhcp_opts TEXT NOT NULL, port_security_enabled INTEGER NOT NULL,
  host_id TEXT NOT NULL, vnic_type TEXT NOT NULL, binding_profile TEXT NOT NULL, dns_name TEXT NOT NULL, dns_domain TEXT NOT NULL,
  owned_by_server INTEGER NOT NULL, device_tag TEXT);
CREATE UNIQUE INDEX net_ports_mac ON net_ports (network_id, mac_address);
CREATE INDEX net_ports_device ON net_ports (device_id);
CREATE TABLE net_rbac_policies (
  id TEXT PRIMARY KEY, object_type TEXT NOT NULL, object_id TEXT NOT NULL, action TEXT NOT NULL, target_tenant TEXT NOT NULL);
CREATE UNIQUE INDEX net_rbac_policies_grant ON net_rbac_policies (object_id, action, target_tenant);
CREATE TABLE net_routers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, revision_number INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, tags TEXT NOT NULL, admin_state_up INTEGER NOT NULL, status TEXT NOT NULL, gateway_port_id TEXT, gateway_network_id TEXT,
  enable_snat INTEGER NOT NULL, routes TEXT NOT NULL, host_id TEXT, availability_zone_hints TEXT NOT NULL);
CREATE INDEX net_routers_gateway ON net_routers (gateway_network_id);
CREATE TABLE net_security_group_rules (
  id TEXT PRIMARY KEY, security_group_id TEXT NOT NULL, direction TEXT NOT NULL, ethertype TEXT NOT NULL, protocol TEXT, port_range_min INTEGER,
  port_range_max INTEGER, remote_ip_prefix TEXT, remote_group_id TEXT, description TEXT NOT NULL, revision_number INTEGER NOT NULL,
  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
CREATE INDEX net_security_group_rules_group ON net_security_group_rules (security_group_id);
CREATE INDEX net_security_group_rules_remote ON net_security_group_rules (remote_group_id);
CREATE TABLE net_security_groups (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, revision_number INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, tags TEXT NOT NULL, stateful INTEGER NOT NULL, is_default INTEGER NOT NULL);
CREATE TABLE net_subnet_pools (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, revision_number INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, tags TEXT NOT NULL, ip_version INTEGER NOT NULL, prefixes TEXT NOT NULL, min_prefixlen INTEGER NOT NULL,
  max_prefixlen INTEGER NOT NULL, default_prefixlen INTEGER NOT NULL, default_quota INTEGER, address_scope_id TEXT, shared INTEGER NOT NULL,
  is_default INTEGER NOT NULL);
CREATE TABLE net_subnets (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, revision_number INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, tags TEXT NOT NULL, network_id TEXT NOT NULL, ip_version INTEGER NOT NULL, cidr TEXT NOT NULL, gateway_ip TEXT,
  enable_dhcp INTEGER NOT NULL, allocation_pools TEXT NOT NULL, dns_nameservers TEXT NOT NULL, host_routes TEXT NOT NULL, ipv6_ra_mode TEXT,
  ipv6_address_mode TEXT, subnetpool_id TEXT, service_types TEXT NOT NULL, dns_publish_fixed_ip INTEGER NOT NULL);
CREATE INDEX net_subnets_network ON net_subnets (network_id);
CREATE UNIQUE INDEX net_security_groups_default ON net_security_groups (is_default) WHERE is_default = 1;
`,
  },
  // Ports on hosts are few among many; what concerns hosts looks at those alone.
  { name: 'network/0002', sql: "CREATE INDEX net_ports_bound ON net_ports (host_id) WHERE host_id <> ''" },
]
