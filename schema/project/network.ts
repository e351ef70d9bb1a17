/**
 * Neutron's tables in a Project object: what one tenant owns, the addresses of its networks (also those that others' ports hold there), and what it
 * told its hosts. Lists that are read and written as a whole are JSON columns: one row per resource.
 */
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import type { ForeignNetwork } from '../../durable-objects/project/peers.ts'

const bool = (name: string) => integer(name, { mode: 'boolean' }).notNull()
const json = <T>(name: string) => text(name, { mode: 'json' }).$type<T>().notNull()

/** What every named resource has. */
const standard = {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  description: text('description').notNull(),
  revision_number: integer('revision_number').notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms').notNull(),
  tags: json<string[]>('tags'),
}

export interface FixedIp {
  subnet_id: string
  ip_address: string
}
export interface Route {
  destination: string
  nexthop: string
}
export interface Pool {
  start: string
  end: string
}
export interface AddressPair {
  ip_address: string
  mac_address: string
}
export interface DhcpOption {
  opt_name: string
  opt_value: string
  ip_version: 4 | 6
}

export const networks = sqliteTable('net_networks', {
  ...standard,
  admin_state_up: bool('admin_state_up'),
  status: text('status').notNull(),
  shared: bool('shared'),
  external: bool('external'),
  is_default: bool('is_default'),
  mtu: integer('mtu').notNull(),
  port_security_enabled: bool('port_security_enabled'),
  network_type: text('network_type').notNull(),
  physical_network: text('physical_network'),
  /** Null until the region has given one out (outbox). */
  segment_id: integer('segment_id'),
  dns_domain: text('dns_domain').notNull(),
  availability_zone_hints: json<string[]>('availability_zone_hints'),
})

export const subnets = sqliteTable('net_subnets', {
  ...standard,
  network_id: text('network_id').notNull(),
  ip_version: integer('ip_version').$type<4 | 6>().notNull(),
  cidr: text('cidr').notNull(),
  gateway_ip: text('gateway_ip'),
  enable_dhcp: bool('enable_dhcp'),
  allocation_pools: json<Pool[]>('allocation_pools'),
  dns_nameservers: json<string[]>('dns_nameservers'),
  host_routes: json<Route[]>('host_routes'),
  ipv6_ra_mode: text('ipv6_ra_mode'),
  ipv6_address_mode: text('ipv6_address_mode'),
  subnetpool_id: text('subnetpool_id'),
  service_types: json<string[]>('service_types'),
  dns_publish_fixed_ip: bool('dns_publish_fixed_ip'),
}, (table) => [index('net_subnets_network').on(table.network_id)])

export const ports = sqliteTable('net_ports', {
  ...standard,
  network_id: text('network_id').notNull(),
  /** The project that owns the network, where it is another one. */
  network_owner_id: text('network_owner_id'),
  mac_address: text('mac_address').notNull(),
  admin_state_up: bool('admin_state_up'),
  status: text('status').notNull(),
  device_id: text('device_id').notNull(),
  device_owner: text('device_owner').notNull(),
  fixed_ips: json<FixedIp[]>('fixed_ips'),
  security_groups: json<string[]>('security_groups'),
  allowed_address_pairs: json<AddressPair[]>('allowed_address_pairs'),
  extra_dhcp_opts: json<DhcpOption[]>('extra_dhcp_opts'),
  port_security_enabled: bool('port_security_enabled'),
  host_id: text('host_id').notNull(),
  vnic_type: text('vnic_type').notNull(),
  binding_profile: json<Record<string, unknown>>('binding_profile'),
  dns_name: text('dns_name').notNull(),
  dns_domain: text('dns_domain').notNull(),
  /** True where Nova made the port, and so deletes it with its server. */
  owned_by_server: bool('owned_by_server'),
  /** The device tag of Nova's request. */
  device_tag: text('device_tag'),
}, (table) => [uniqueIndex('net_ports_mac').on(table.network_id, table.mac_address), index('net_ports_device').on(table.device_id)])

export const routers = sqliteTable('net_routers', {
  ...standard,
  admin_state_up: bool('admin_state_up'),
  status: text('status').notNull(),
  gateway_port_id: text('gateway_port_id'),
  gateway_network_id: text('gateway_network_id'),
  enable_snat: bool('enable_snat'),
  routes: json<Route[]>('routes'),
  /** The gateway host that the region chose; null where none is needed, or none was there yet. */
  host_id: text('host_id'),
  availability_zone_hints: json<string[]>('availability_zone_hints'),
}, (table) => [index('net_routers_gateway').on(table.gateway_network_id)])

export const floatingIps = sqliteTable('net_floating_ips', {
  ...standard,
  floating_network_id: text('floating_network_id').notNull(),
  /** The project that owns the network, where it is another one. */
  network_owner_id: text('network_owner_id'),
  floating_ip_address: text('floating_ip_address').notNull(),
  subnet_id: text('subnet_id').notNull(),
  status: text('status').notNull(),
  router_id: text('router_id'),
  port_id: text('port_id'),
  fixed_ip_address: text('fixed_ip_address'),
  dns_name: text('dns_name').notNull(),
  dns_domain: text('dns_domain').notNull(),
}, (table) => [index('net_floating_ips_port').on(table.port_id), index('net_floating_ips_router').on(table.router_id)])

export const securityGroups = sqliteTable('net_security_groups', {
  ...standard,
  stateful: bool('stateful'),
  /** The group a project gets by itself; one per project. */
  is_default: bool('is_default'),
})

export const securityGroupRules = sqliteTable('net_security_group_rules', {
  id: text('id').primaryKey(),
  security_group_id: text('security_group_id').notNull(),
  direction: text('direction').$type<'ingress' | 'egress'>().notNull(),
  ethertype: text('ethertype').$type<'IPv4' | 'IPv6'>().notNull(),
  protocol: text('protocol'),
  port_range_min: integer('port_range_min'),
  port_range_max: integer('port_range_max'),
  remote_ip_prefix: text('remote_ip_prefix'),
  remote_group_id: text('remote_group_id'),
  description: text('description').notNull(),
  revision_number: integer('revision_number').notNull(),
  created_ms: integer('created_ms').notNull(),
  updated_ms: integer('updated_ms').notNull(),
}, (table) => [index('net_security_group_rules_group').on(table.security_group_id), index('net_security_group_rules_remote').on(table.remote_group_id)])

export const subnetPools = sqliteTable('net_subnet_pools', {
  ...standard,
  ip_version: integer('ip_version').$type<4 | 6>().notNull(),
  prefixes: json<string[]>('prefixes'),
  min_prefixlen: integer('min_prefixlen').notNull(),
  max_prefixlen: integer('max_prefixlen').notNull(),
  default_prefixlen: integer('default_prefixlen').notNull(),
  default_quota: integer('default_quota'),
  address_scope_id: text('address_scope_id'),
  shared: bool('shared'),
  is_default: bool('is_default'),
})

export const addressScopes = sqliteTable('net_address_scopes', {
  ...standard,
  ip_version: integer('ip_version').$type<4 | 6>().notNull(),
  shared: bool('shared'),
})

export const rbacPolicies = sqliteTable('net_rbac_policies', {
  id: text('id').primaryKey(),
  object_type: text('object_type').notNull(),
  object_id: text('object_id').notNull(),
  action: text('action').$type<'access_as_shared' | 'access_as_external'>().notNull(),
  /** '*' or a project id. */
  target_tenant: text('target_tenant').notNull(),
}, (table) => [uniqueIndex('net_rbac_policies_grant').on(table.object_id, table.action, table.target_tenant)])

/** Every address in use on this project's networks, whoever holds it: unique per subnet. `ip` is the sortable key of values/ip. */
export const addresses = sqliteTable('net_addresses', {
  subnet_id: text('subnet_id').notNull(),
  ip: text('ip').notNull(),
  network_id: text('network_id').notNull(),
  /** The port or floating IP that holds it. */
  holder_id: text('holder_id').notNull(),
}, (table) => [primaryKey({ columns: [table.subnet_id, table.ip] }), index('net_addresses_holder').on(table.holder_id), index('net_addresses_network').on(table.network_id)])

/** Free addresses of the allocation pools, as disjoint ranges. */
export const freeRanges = sqliteTable('net_free_ranges', {
  subnet_id: text('subnet_id').notNull(),
  first: text('first').notNull(),
  last: text('last').notNull(),
}, (table) => [primaryKey({ columns: [table.subnet_id, table.first] })])

/** What other projects' (and this one's floating IPs) hold on this project's networks. */
export const claims = sqliteTable('net_claims', {
  holder_id: text('holder_id').primaryKey(),
  kind: text('kind').$type<'port' | 'floatingip'>().notNull(),
  network_id: text('network_id').notNull(),
  project_id: text('project_id').notNull(),
  mac_address: text('mac_address'),
  created_ms: integer('created_ms').notNull(),
}, (table) => [index('net_claims_network').on(table.network_id), uniqueIndex('net_claims_mac').on(table.network_id, table.mac_address)])

/** Other projects' networks that this project's ports are on, as their owners described them last. */
export const foreignNetworks = sqliteTable('net_foreign_networks', {
  id: text('id').primaryKey(),
  owner_id: text('owner_id').notNull(),
  version: integer('version').notNull(),
  data: json<ForeignNetwork>('data'),
})

/** Hosts on which other projects use this project's networks. */
export const carriers = sqliteTable('net_carriers', {
  network_id: text('network_id').notNull(),
  project_id: text('project_id').notNull(),
  host_id: text('host_id').notNull(),
}, (table) => [primaryKey({ columns: [table.network_id, table.project_id, table.host_id] })])

/** Desired items of this project's networks, ports and routers: `dirty` counts changes not yet compiled and sent. */
export const items = sqliteTable('net_items', {
  kind: text('kind').$type<'network' | 'port' | 'router'>().notNull(),
  id: text('id').notNull(),
  generation: integer('generation').notNull(),
  dirty: integer('dirty').notNull(),
  /** JSON of what was compiled last: kept for removal, and to see that nothing changed. */
  spec: text('spec'),
}, (table) => [primaryKey({ columns: [table.kind, table.id] }), index('net_items_dirty').on(table.dirty)])

/** What each host was told of an item, and what it answered. */
export const hosted = sqliteTable('net_hosted', {
  kind: text('kind').$type<'network' | 'port' | 'router'>().notNull(),
  id: text('id').notNull(),
  host_id: text('host_id').notNull(),
  state: text('state').$type<'present' | 'absent'>().notNull(),
  generation: integer('generation').notNull(),
  /** The generation that the Host object has taken; behind `generation` while it is yet to be sent. */
  sent: integer('sent').notNull(),
  status: text('status').notNull(),
}, (table) => [primaryKey({ columns: [table.kind, table.id, table.host_id] })])

export type NetworkRow = typeof networks.$inferSelect
export type SubnetRow = typeof subnets.$inferSelect
export type PortRow = typeof ports.$inferSelect
export type RouterRow = typeof routers.$inferSelect
export type FloatingIpRow = typeof floatingIps.$inferSelect
export type SecurityGroupRow = typeof securityGroups.$inferSelect
export type SecurityGroupRuleRow = typeof securityGroupRules.$inferSelect
export type SubnetPoolRow = typeof subnetPools.$inferSelect
export type AddressScopeRow = typeof addressScopes.$inferSelect
export type RbacPolicyRow = typeof rbacPolicies.$inferSelect
