/**
 * Carries dirty items to hosts. Each is compiled from the rows as they are now, compared with what was compiled last, and sent only to hosts that have
 * something other; a host that no longer needs an item gets it as `absent` and is forgotten when it reported it gone.
 */
import { and, eq, gt, inArray } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import type { Task } from '../../../durable-objects/kernel/outbox.ts'
import type { DesiredItem } from '../../../schema/agent/desired.ts'
import { carriers, floatingIps, hosted, items, networks, ports, routers, securityGroupRules } from '../../../schema/project/network.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import type { HostRow } from '../../agents/hosts/store.ts'
import { ipOf } from '../../../schema/values/ip.ts'
import { REPEAT_MS } from '../networks/publish.ts'
import { type Peer, compileNetwork, compilePort, compileRouter, expandRules } from './compile.ts'
import { DHCP_OWNER, INTERFACE_OWNER, chunked, subnetIndex, subnetsOf } from './known.ts'
import { onRegion } from '../../../durable-objects/kernel/sessions.ts'
import { type ItemKind, hostsUsing, usesGroup } from './touch.ts'

/** Items compiled in one go. */
export const SYNC_ITEMS_MAX = 500

interface Wanted {
  spec: unknown
  hosts: string[]
}

type Key = { kind: ItemKind; id: string }

export const networkSync: Task<Deps> = {
  run: async (deps, _payload, { request_id }) => {
    for (;;) {
      const dirty = deps.db.select().from(items).where(gt(items.dirty, 0)).limit(SYNC_ITEMS_MAX).all()
      if (dirty.length === 0) return
      const hosts = await hostsNeeded(deps, request_id, dirty)
      deps.commit(systemCaller(request_id), (tx) => {
        for (const item of dirty) compileInto(tx, item, hosts)
      })
      await send(deps, dirty)
    }
  },
  /** Telling hosts is never given up: it is promised again. */
  expire: (deps, _payload, _error, { request_id }) => deps.commit(systemCaller(request_id), (tx) => tx.outbox('network-sync', {}, { key: 'network-sync', delay_ms: REPEAT_MS })),
}

/** The region's hosts by id and by name; asked only where an item has to do with a host. */
async function hostsNeeded(deps: Deps, requestId: string, dirty: readonly Key[]): Promise<Map<string, HostRow>> {
  const needed = dirty.some(({ kind, id }) => hostsOf(deps, kind, id).length > 0)
  if (!needed) return new Map()
  const rows = await onRegion(deps.env, requestId, (region) => region.hosts.list())
  return new Map(rows.flatMap((row) => [[row.name, row], [row.id, row]] as [string, HostRow][]))
}

/** Hosts that should have the item, as the rows name them. */
function hostsOf({ db }: Pick<Deps, 'db'>, kind: ItemKind, id: string): string[] {
  if (kind === 'port') return db.select({ host_id: ports.host_id, owner: ports.device_owner }).from(ports).where(eq(ports.id, id)).all().flatMap((row) => (row.host_id !== '' && row.owner.startsWith('compute:') ? [row.host_id] : []))
  if (kind === 'router') return db.select({ host_id: routers.host_id }).from(routers).where(eq(routers.id, id)).all().flatMap((row) => (row.host_id === null ? [] : [row.host_id]))
  const others = db.selectDistinct({ host_id: carriers.host_id }).from(carriers).where(eq(carriers.network_id, id)).all().map((row) => row.host_id)
  return [...new Set([...hostsUsing(db, id), ...others])].sort()
}

function compileInto(tx: Tx, item: typeof items.$inferSelect, hosts: Map<string, HostRow>): void {
  const { kind, id } = item
  const wanted = compile(tx, kind, id, hosts)
  const text = wanted.spec === null ? null : JSON.stringify(wanted.spec)
  const changed = text !== null && text !== item.spec
  const rows = tx.db.select().from(hosted).where(and(eq(hosted.kind, kind), eq(hosted.id, id))).all()
  const target = text === null ? [] : wanted.hosts
  const stale = rows.filter((row) => (target.includes(row.host_id) ? row.state === 'absent' || changed : row.state === 'present'))
  const fresh = target.filter((host) => !rows.some((row) => row.host_id === host))
  if (!changed && stale.length === 0 && fresh.length === 0) return
  const generation = item.generation + 1
  tx.db.update(items).set({ generation, ...(text === null ? {} : { spec: text }) }).where(and(eq(items.kind, kind), eq(items.id, id))).run()
  for (const row of stale) {
    const state = target.includes(row.host_id) ? 'present' : 'absent'
    tx.db.update(hosted).set({ state, generation }).where(and(eq(hosted.kind, kind), eq(hosted.id, id), eq(hosted.host_id, row.host_id))).run()
  }
  for (const host_id of fresh) tx.db.insert(hosted).values({ kind, id, host_id, state: 'present', generation, sent: 0, status: 'working' }).run()
}

function compile(tx: Tx, kind: ItemKind, id: string, hosts: Map<string, HostRow>): Wanted {
  const known = hostsOf({ db: tx.db }, kind, id).flatMap((name) => hosts.get(name)?.id ?? [])
  return { spec: kind === 'network' ? networkSpec(tx, id, known, hosts) : kind === 'port' ? portSpec(tx, id) : routerSpec(tx, id), hosts: [...new Set(known)] }
}

function networkSpec(tx: Tx, id: string, onHosts: string[], hosts: Map<string, HostRow>): unknown {
  const [network] = tx.db.select().from(networks).where(eq(networks.id, id)).all()
  if (network === undefined) return null
  const [dhcp] = tx.db.select().from(ports).where(and(eq(ports.network_id, id), eq(ports.device_owner, DHCP_OWNER))).all()
  const peers = onHosts.flatMap((host_id): Peer[] => {
    const tunnel_ip = hosts.get(host_id)?.facts?.tunnel_ip
    return tunnel_ip == null ? [] : [{ host_id, tunnel_ip }]
  })
  return compileNetwork(network, subnetsOf(tx.db, id), dhcp ?? null, peers)
}

function portSpec(tx: Tx, id: string): unknown {
  const [port] = tx.db.select().from(ports).where(eq(ports.id, id)).all()
  if (port === undefined) return null
  const rules = chunked(port.security_groups).flatMap((part) => tx.db.select().from(securityGroupRules).where(inArray(securityGroupRules.security_group_id, part)).all())
  return compilePort(port, expandRules(rules, (groupId, version) => membersOf(tx, groupId, version)))
}

/** Addresses of a group's ports, and the pairs they may use beside them. */
function membersOf(tx: Tx, groupId: string, version: 4 | 6): string[] {
  const members = tx.db.select({ fixed_ips: ports.fixed_ips, pairs: ports.allowed_address_pairs }).from(ports).where(usesGroup(groupId)).all()
  const texts = members.flatMap((port) => [...port.fixed_ips.map((fixed) => fixed.ip_address), ...port.pairs.map((pair) => pair.ip_address)])
  const bits = version === 4 ? 32 : 128
  return [...new Set(texts.filter((text) => ipOf(text.split('/')[0] ?? '').version === version).map((text) => (text.includes('/') ? text : `${text}/${bits}`)))].sort()
}

function routerSpec(tx: Tx, id: string): unknown {
  const [router] = tx.db.select().from(routers).where(eq(routers.id, id)).all()
  if (router === undefined) return null
  const attached = tx.db.select().from(ports).where(eq(ports.device_id, id)).all()
  const interfaces = attached.filter((port) => port.device_owner === INTERFACE_OWNER)
  const gateway = attached.find((port) => port.id === router.gateway_port_id) ?? null
  const index = subnetIndex(tx.db, attached.map((port) => port.network_id))
  return compileRouter({ router, interfaces, gateway, floatingIps: tx.db.select().from(floatingIps).where(eq(floatingIps.router_id, id)).all(), subnet: (subnetId) => index.get(subnetId) })
}

/** Puts what hosts have not heard yet, each host in one call; then the items that did not change meanwhile are clean. */
async function send(deps: Deps, dirty: readonly (typeof items.$inferSelect)[]): Promise<void> {
  const byHost = new Map<string, DesiredItem[]>()
  for (const { kind, id } of dirty) {
    const spec = deps.db.select({ spec: items.spec }).from(items).where(and(eq(items.kind, kind), eq(items.id, id))).get()?.spec
    if (spec == null) continue
    for (const row of deps.db.select().from(hosted).where(and(eq(hosted.kind, kind), eq(hosted.id, id))).all()) {
      if (row.sent >= row.generation) continue
      const item = { kind, id, project_id: deps.name, generation: row.generation, state: row.state, spec: JSON.parse(spec) } as DesiredItem
      byHost.set(row.host_id, [...(byHost.get(row.host_id) ?? []), item])
    }
  }
  const results = await Promise.allSettled([...byHost].map(async ([hostId, list]) => {
    await deps.env.HOST.getByName(hostId).put(list)
    for (const item of list) deps.db.update(hosted).set({ sent: item.generation }).where(and(eq(hosted.kind, item.kind as ItemKind), eq(hosted.id, item.id), eq(hosted.host_id, hostId))).run()
  }))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  for (const { kind, id, dirty: count } of dirty) settle(deps, kind, id, count)
}

function settle(deps: Deps, kind: ItemKind, id: string, count: number): void {
  const mine = and(eq(items.kind, kind), eq(items.id, id), eq(items.dirty, count))
  if (exists(deps, kind, id) || deps.db.select().from(hosted).where(and(eq(hosted.kind, kind), eq(hosted.id, id))).all().length > 0) deps.db.update(items).set({ dirty: 0 }).where(mine).run()
  else deps.db.delete(items).where(mine).run()
}

export function exists({ db }: Pick<Deps, 'db'>, kind: ItemKind, id: string): boolean {
  const table = kind === 'network' ? networks : kind === 'port' ? ports : routers
  return db.select({ id: table.id }).from(table).where(eq(table.id, id)).all().length > 0
}
