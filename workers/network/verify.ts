/** Invariants of network in one project: addresses, references, floating IPs, and that whatever is on its way to a host or the region has somebody who carries it. */
import { eq, gt } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import type { Expected, Holdings } from '../../durable-objects/project/holdings.ts'
import { peersOf } from '../../durable-objects/project/peers.ts'
import * as t from '../../schema/project/network.ts'
import { cidrFrom, contains, formatIp, ipOf, keyOf, valueOfKey } from '../../schema/values/ip.ts'
import { type Range, rangesWithout } from './ipam.ts'
import { poolRanges } from './plane/addresses.ts'
import { GATEWAY_OWNER, INTERFACE_OWNER, findNetwork } from './plane/known.ts'

type Report = (invariant: string, resource: string, message: string) => void

export function verifyNetwork(deps: Deps): Violation[] {
  const found: Violation[] = []
  const report: Report = (invariant, resource, message) => found.push({ invariant, project_id: deps.name, resource, message })
  checkAddresses(deps, report)
  checkFreeRanges(deps, report)
  checkPorts(deps, report)
  checkRouters(deps, report)
  checkFloatingIps(deps, report)
  checkGroups(deps, report)
  checkUnderway(deps, report)
  return found
}

/** Every address in use is inside its subnet and held by something that exists. */
function checkAddresses({ db }: Deps, report: Report): void {
  const subnets = new Map(db.select().from(t.subnets).all().map((subnet) => [subnet.id, subnet]))
  const holders = new Set([...db.select({ id: t.ports.id }).from(t.ports).all(), ...db.select({ id: t.claims.holder_id }).from(t.claims).all(), ...db.select({ id: t.floatingIps.id }).from(t.floatingIps).all()].map((row) => row.id))
  for (const row of db.select().from(t.addresses).all()) {
    const subnet = subnets.get(row.subnet_id)
    if (subnet === undefined) {
      report('reference-exists', `address ${row.ip}`, `its subnet ${row.subnet_id} does not exist`)
      continue
    }
    const text = formatIp(subnet.ip_version, valueOfKey(row.ip))
    if (!contains(cidrFrom(subnet.cidr), { version: subnet.ip_version, value: valueOfKey(row.ip) })) report('address-unique', `address ${text}`, `it is outside of its subnet ${subnet.id} (${subnet.cidr})`)
    if (!holders.has(row.holder_id)) report('reference-exists', `address ${text}`, `it is held by ${row.holder_id}, which does not exist`)
  }
  for (const subnet of subnets.values()) if (findNetwork(db, subnet.network_id) === null) report('reference-exists', `subnet ${subnet.id}`, `its network ${subnet.network_id} does not exist`)
}

/** Free is exactly what the pools have and nobody uses. */
function checkFreeRanges({ db }: Deps, report: Report): void {
  for (const subnet of db.select().from(t.subnets).all()) {
    const used = db.select({ ip: t.addresses.ip }).from(t.addresses).where(eq(t.addresses.subnet_id, subnet.id)).orderBy(t.addresses.ip).all().map((row) => valueOfKey(row.ip))
    const free = db.select().from(t.freeRanges).where(eq(t.freeRanges.subnet_id, subnet.id)).orderBy(t.freeRanges.first).all().map((row) => ({ first: valueOfKey(row.first), last: valueOfKey(row.last) }))
    const text = (ranges: Range[]) => ranges.map((range) => `${range.first}-${range.last}`).join()
    if (text(free) !== text(rangesWithout(poolRanges(subnet), used))) report('address-unique', `subnet ${subnet.id}`, 'its free ranges are not what its pools have and nobody uses')
  }
}

function checkPorts(deps: Deps, report: Report): void {
  const { db } = deps
  const groups = new Set(db.select({ id: t.securityGroups.id }).from(t.securityGroups).all().map((row) => row.id))
  const routers = new Set(db.select({ id: t.routers.id }).from(t.routers).all().map((row) => row.id))
  const known = new Map<string, ReturnType<typeof findNetwork>>()
  const held = new Map(db.select().from(t.addresses).all().map((row) => [`${row.subnet_id}/${row.ip}`, row.holder_id]))
  for (const port of db.select().from(t.ports).all()) {
    const network = known.get(port.network_id) ?? findNetwork(db, port.network_id)
    known.set(port.network_id, network)
    if (network === null) report('reference-exists', `port ${port.id}`, `its network ${port.network_id} does not exist`)
    for (const fixed of port.fixed_ips) {
      if (network !== null && !network.subnets.some((subnet) => subnet.id === fixed.subnet_id)) report('reference-exists', `port ${port.id}`, `its subnet ${fixed.subnet_id} does not exist`)
      if (port.network_owner_id === null && held.get(`${fixed.subnet_id}/${keyOf(ipOf(fixed.ip_address).value)}`) !== port.id) report('address-unique', `port ${port.id}`, `it says it has ${fixed.ip_address}, which it does not hold`)
    }
    for (const id of port.security_groups) if (!groups.has(id)) report('reference-exists', `port ${port.id}`, `its security group ${id} does not exist`)
    if (port.owned_by_server && !peersOf(deps).servers.exists(port.device_id)) report('reference-exists', `port ${port.id}`, `its server ${port.device_id} does not exist`)
    if ((port.device_owner === INTERFACE_OWNER || port.device_owner === GATEWAY_OWNER) && !routers.has(port.device_id)) report('reference-exists', `port ${port.id}`, `its router ${port.device_id} does not exist`)
  }
}

function checkRouters({ db }: Deps, report: Report): void {
  const ports = new Set(db.select({ id: t.ports.id }).from(t.ports).all().map((row) => row.id))
  for (const router of db.select().from(t.routers).all()) {
    if ((router.gateway_port_id === null) !== (router.gateway_network_id === null)) report('reference-exists', `router ${router.id}`, 'it has half a gateway')
    if (router.gateway_port_id !== null && !ports.has(router.gateway_port_id)) report('reference-exists', `router ${router.id}`, `its gateway port ${router.gateway_port_id} does not exist`)
  }
}

function checkFloatingIps({ db }: Deps, report: Report): void {
  const ports = new Map(db.select().from(t.ports).all().map((port) => [port.id, port]))
  const routers = new Set(db.select({ id: t.routers.id }).from(t.routers).all().map((row) => row.id))
  const seen = new Map<string, string>()
  for (const fip of db.select().from(t.floatingIps).all()) {
    const keys = [`${fip.floating_network_id} ${fip.floating_ip_address}`, ...(fip.port_id === null ? [] : [`${fip.floating_network_id} ${fip.port_id} ${fip.fixed_ip_address}`])]
    for (const key of keys) {
      if (seen.has(key)) report('address-unique', `floatingip ${fip.id}`, `it shares ${key} with floating IP ${seen.get(key)}`)
      seen.set(key, fip.id)
    }
    if (findNetwork(db, fip.floating_network_id) === null) report('reference-exists', `floatingip ${fip.id}`, `its network ${fip.floating_network_id} does not exist`)
    if ((fip.port_id === null) !== (fip.router_id === null)) report('reference-exists', `floatingip ${fip.id}`, 'it is half associated')
    if (fip.port_id !== null && !ports.get(fip.port_id)?.fixed_ips.some((fixed) => fixed.ip_address === fip.fixed_ip_address)) report('reference-exists', `floatingip ${fip.id}`, `its port ${fip.port_id} does not have ${fip.fixed_ip_address}`)
    if (fip.router_id !== null && !routers.has(fip.router_id)) report('reference-exists', `floatingip ${fip.id}`, `its router ${fip.router_id} does not exist`)
  }
}

function checkGroups({ db }: Deps, report: Report): void {
  const groups = new Set(db.select({ id: t.securityGroups.id }).from(t.securityGroups).all().map((row) => row.id))
  for (const rule of db.select().from(t.securityGroupRules).all()) {
    for (const id of [rule.security_group_id, rule.remote_group_id]) if (id !== null && !groups.has(id)) report('reference-exists', `security_group_rule ${rule.id}`, `its security group ${id} does not exist`)
  }
  const networks = new Set(db.select({ id: t.networks.id }).from(t.networks).all().map((row) => row.id))
  for (const policy of db.select().from(t.rbacPolicies).all()) if (!networks.has(policy.object_id)) report('reference-exists', `rbac_policy ${policy.id}`, `its network ${policy.object_id} does not exist`)
}

/** Nothing waits for a host or the region without an outbox entry that will get it there. */
function checkUnderway({ db, outbox }: Deps, report: Report): void {
  const pending = new Set(outbox.pending().flatMap((entry) => [entry.task, `${entry.task} ${entry.key}`]))
  const dirty = db.select().from(t.items).where(gt(t.items.dirty, 0)).all()
  if (!pending.has('network-sync')) for (const item of dirty) report('no-overdue-state', `${item.kind} ${item.id}`, 'its change is not on its way to its hosts')
  for (const network of db.select().from(t.networks).all()) if (network.segment_id === null && !pending.has(`network-settle settle:${network.id}`)) report('no-overdue-state', `network ${network.id}`, 'it has no segment and nobody asks for one')
}

/** What this project's networks, ports and routers hold elsewhere. */
export function networkHoldings({ db, outbox, name }: Deps): Pick<Holdings, 'items' | 'networks' | 'routers' | 'claims' | 'given'> {
  const dirty = new Set(db.select().from(t.items).where(gt(t.items.dirty, 0)).all().map((item) => `${item.kind}/${item.id}`))
  const pending = new Set(outbox.pending().map((step) => `${step.task} ${step.key}`))
  const items = db.select().from(t.hosted).all().map((row): Expected => ({
    host_id: row.host_id, kind: row.kind, id: row.id, generation: row.generation, state: row.state, busy: row.sent < row.generation || dirty.has(`${row.kind}/${row.id}`), broken: false,
  }))
  const foreign = [...db.select({ id: t.ports.id, owner_id: t.ports.network_owner_id }).from(t.ports).all(), ...db.select({ id: t.floatingIps.id, owner_id: t.floatingIps.network_owner_id }).from(t.floatingIps).all()]
  return {
    items,
    networks: db.select({ id: t.networks.id, segment_id: t.networks.segment_id }).from(t.networks).all(),
    routers: db.select({ id: t.routers.id, host_id: t.routers.host_id }).from(t.routers).all().map((row) => (pending.has(`router-place router:${row.id}`) ? { ...row, host_id: null } : row)),
    claims: foreign.flatMap((row) => (row.owner_id === null || row.owner_id === name ? [] : [{ holder_id: row.id, owner_id: row.owner_id }])),
    given: db.select({ holder_id: t.claims.holder_id, project_id: t.claims.project_id }).from(t.claims).all(),
  }
}
