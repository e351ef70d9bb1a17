/** Ports as compute takes, binds and gives them back: inside the transaction that makes or moves the server. */
import { and, eq, inArray, like } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type PortInfo, type PortRequest, type PortsPeer, peersOf } from '../../../durable-objects/project/peers.ts'
import { type PortRow, floatingIps, networks, ports, securityGroups, subnets } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped } from '../api/standard.ts'
import { conflict, notFound, overQuota, portInUse } from '../faults.ts'
import { checkSecurity, deletePort, insertPort, portMoved } from '../ports/insert.ts'
import { DEFAULT_GROUP, ensureDefault } from '../security-groups/default.ts'
import { type Claim, type PublishedNetwork, chunked, findNetwork, known, knownNetwork } from './known.ts'

/** What a claim on another's network becomes on its way through compute. */
export type ForeignRequest = NonNullable<PortRequest['foreign']> & { mac_address: string | null }

type TakeRequest = Parameters<PortsPeer['takeForServer']>[2]

export const portsPeer = (deps: Deps): PortsPeer => ({
  takeForServer: (tx, caller, request) => infoOf(tx, take(deps, tx, caller, request)),
  ofServer: (serverId) => serverPorts({ db: deps.db }, serverId).map((port) => infoOf({ db: deps.db }, port)),
  bind: (tx, _caller, serverId, hostId) => {
    for (const port of serverPorts(tx, serverId)) if (port.host_id !== (hostId ?? '')) save(tx, port, { host_id: hostId ?? '', status: 'DOWN' })
  },
  release: (tx, _caller, serverId, portId) => {
    for (const port of serverPorts(tx, serverId)) {
      if (portId !== undefined && port.id !== portId) continue
      if (port.owned_by_server) deletePort(tx, port, findNetwork(tx.db, port.network_id))
      else save(tx, port, { device_id: '', device_owner: '', host_id: '', status: 'DOWN', device_tag: null })
    }
  },
  networks: () => {
    const all = deps.db.select().from(networks).where(eq(networks.external, false)).all()
    return all.map((network) => ({ id: network.id, name: network.name, subnets: deps.db.select({ id: subnets.id }).from(subnets).where(eq(subnets.network_id, network.id)).all().length }))
  },
  securityGroups: () => deps.db.select({ id: securityGroups.id, name: securityGroups.name }).from(securityGroups).all(),
  addSecurityGroup: (tx, _caller, serverId, nameOrId) => {
    const id = groupNamed(deps, tx, nameOrId)
    for (const port of serverPorts(tx, serverId)) if (port.port_security_enabled && port.fixed_ips.length > 0 && !port.security_groups.includes(id)) save(tx, port, { security_groups: [...port.security_groups, id] })
  },
  removeSecurityGroup: (tx, _caller, serverId, nameOrId) => {
    const id = groupNamed(deps, tx, nameOrId)
    const having = serverPorts(tx, serverId).filter((port) => port.security_groups.includes(id))
    if (having.length === 0) throw conflict('SecurityGroupNotAssociated', `Security group ${nameOrId} not associated with the instance ${serverId}`)
    for (const port of having) save(tx, port, { security_groups: port.security_groups.filter((group) => group !== id) })
  },
})

const serverPorts = (tx: Pick<Tx, 'db'>, serverId: string): PortRow[] => (serverId === '' ? [] : tx.db.select().from(ports).where(and(eq(ports.device_id, serverId), like(ports.device_owner, 'compute:%'))).orderBy(ports.created_ms, ports.id).all())

function save(tx: Tx, port: PortRow, change: Partial<PortRow>): PortRow {
  const next: PortRow = { ...port, ...change, ...bumped(tx, port) }
  tx.db.update(ports).set(next).where(eq(ports.id, port.id)).run()
  tx.change('port', port.id, 'update', port, next)
  portMoved(tx, port, next)
  return next
}

function take(deps: Deps, tx: Tx, _caller: Caller, request: TakeRequest): PortRow {
  const device = { device_id: request.server_id, device_owner: `compute:${request.availability_zone}`, device_tag: request.tag ?? null }
  if (request.port_id !== undefined) return takeExisting(tx, request.port_id, request, device)
  peersOf(deps).quotas.claim('network', tx.db, { port: 1 }, (over) => overQuota(over.map((one) => one.resource)))
  const claim = claimOf(request.foreign as ForeignRequest | undefined)
  const network = claim === null ? knownNetwork(tx.db, request.network_id ?? '') : known(claim.network)
  const groups = network.row.port_security_enabled && request.security_groups !== null ? request.security_groups.map((name) => groupNamed(deps, tx, name)) : undefined
  const wishes = request.fixed_ip == null ? undefined : [{ ip_address: request.fixed_ip }]
  return insertPort(deps, tx, {
    id: request.foreign?.port_id ?? deps.newId(), network, claim, wishes, given: { device_owner: device.device_owner, security_groups: groups, dns_name: hostnameOf(request.server_name) },
    extra: { ...device, owned_by_server: true },
  })
}

function takeExisting(tx: Tx, portId: string, request: TakeRequest, device: Partial<PortRow>): PortRow {
  const [port] = tx.db.select().from(ports).where(eq(ports.id, portId)).all()
  if (port === undefined) throw notFound('port', portId)
  if (port.device_id !== '' && port.device_id !== request.server_id) throw portInUse(port.id, port.device_id, port.network_id)
  const next = save(tx, port, { ...device, dns_name: port.dns_name === '' ? hostnameOf(request.server_name) : port.dns_name })
  checkSecurity(next)
  return next
}

const claimOf = (foreign: ForeignRequest | undefined): Claim | null => (foreign === undefined ? null : { network: foreign.network as PublishedNetwork, holder_id: foreign.port_id, mac_address: foreign.mac_address, fixed_ips: foreign.fixed_ips })

/** A name that DHCP can give out: what upstream makes of a server's name. */
export const hostnameOf = (name: string): string => name.toLowerCase().replace(/[ _.]+/g, '-').replace(/[^a-z0-9-]/g, '').replace(/^-+|-+$/g, '').slice(0, 63).replace(/-+$/, '')

/** A group by id or by its (unambiguous) name; the default group comes into being when it is named. */
function groupNamed(deps: Deps, tx: Tx, nameOrId: string): string {
  const [byId] = tx.db.select({ id: securityGroups.id }).from(securityGroups).where(eq(securityGroups.id, nameOrId)).all()
  if (byId !== undefined) return byId.id
  if (nameOrId === DEFAULT_GROUP) return ensureDefault(deps, tx).id
  const named = tx.db.select({ id: securityGroups.id }).from(securityGroups).where(eq(securityGroups.name, nameOrId)).all()
  if (named.length > 1) throw conflict('NoUniqueMatch', `Multiple security groups found matching '${nameOrId}'. Use an ID to be more specific.`)
  const [one] = named
  if (one === undefined) throw notFound('security_group', nameOrId)
  return one.id
}

export function infoOf(tx: Pick<Tx, 'db'>, port: PortRow): PortInfo {
  const network = findNetwork(tx.db, port.network_id)
  const floating = tx.db.select().from(floatingIps).where(eq(floatingIps.port_id, port.id)).all()
  const groups = chunked(port.security_groups).flatMap((part) => tx.db.select({ id: securityGroups.id, name: securityGroups.name }).from(securityGroups).where(inArray(securityGroups.id, part)).all())
  return {
    id: port.id, network_id: port.network_id, network_name: network?.row.name ?? '', mac_address: port.mac_address, status: port.status, mtu: network?.row.mtu ?? 1_500,
    fixed_ips: port.fixed_ips.flatMap((fixed) => {
      const subnet = network?.subnets.find((one) => one.id === fixed.subnet_id)
      return subnet === undefined ? [] : [{ ...fixed, version: subnet.ip_version, cidr: subnet.cidr, gateway_ip: subnet.gateway_ip, dns_nameservers: subnet.dns_nameservers, enable_dhcp: subnet.enable_dhcp }]
    }),
    floating_ips: floating.flatMap((fip) => (fip.fixed_ip_address === null ? [] : [{ fixed_ip: fip.fixed_ip_address, floating_ip: fip.floating_ip_address }])),
    security_groups: groups, owned_by_server: port.owned_by_server, tag: port.device_tag, host_id: port.host_id === '' ? null : port.host_id,
  }
}

