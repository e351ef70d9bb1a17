/** Marks what hosts must hear of: an item is dirty until it was compiled and sent (plane/sync.ts). One outbox entry per transaction carries all of them. */
import { and, eq, inArray, like, sql } from 'drizzle-orm'
import type { Db, Tx } from '../../../durable-objects/kernel/deps.ts'
import { carriers, hosted, items, networks, ports, routers, securityGroupRules } from '../../../schema/project/network.ts'
import { chunked } from './known.ts'

export type ItemKind = 'network' | 'port' | 'router'

const promised = new WeakSet<Tx>()

export function touch(tx: Tx, kind: ItemKind, id: string): void {
  if (!concernsHosts(tx.db, kind, id)) return
  tx.db.insert(items).values({ kind, id, generation: 0, dirty: 1 }).onConflictDoUpdate({ target: [items.kind, items.id], set: { dirty: sql`dirty + 1` } }).run()
  if (promised.has(tx)) return
  promised.add(tx)
  tx.outbox('network-sync', {}, { key: 'network-sync' })
}

/** Where no host has it or should have it, nothing is written. */
function concernsHosts(db: Db, kind: ItemKind, id: string): boolean {
  if (db.select({ id: hosted.id }).from(hosted).where(and(eq(hosted.kind, kind), eq(hosted.id, id))).limit(1).all().length > 0) return true
  if (kind === 'port') return db.select({ id: ports.id }).from(ports).where(and(bound, eq(ports.id, id))).all().length > 0
  if (kind === 'router') return db.select({ host_id: routers.host_id }).from(routers).where(eq(routers.id, id)).get()?.host_id != null
  return hostsUsing(db, id).length > 0 || db.select({ id: carriers.network_id }).from(carriers).where(eq(carriers.network_id, id)).limit(1).all().length > 0
}

/** A network's hosts or content changed: told to its hosts here, or to its owner. */
export function touchNetwork(tx: Tx, networkId: string, ownerId: string | null): void {
  if (ownerId === null) touch(tx, 'network', networkId)
  else tx.outbox('network-carry', { network_id: networkId, owner_id: ownerId }, { key: `carry:${networkId}` })
}

/** Ports that run on a host: only those are compiled. */
const bound = and(sql`${ports.host_id} <> ''`, like(ports.device_owner, 'compute:%'))
const hasGroup = (groupId: string) => sql`EXISTS (SELECT 1 FROM json_each(${ports.security_groups}) WHERE value = ${groupId})`

/** The rules of these groups changed. */
export function touchGroups(tx: Tx, groupIds: readonly string[]): void {
  for (const groupId of new Set(groupIds)) for (const { id } of tx.db.select({ id: ports.id }).from(ports).where(and(bound, hasGroup(groupId))).all()) touch(tx, 'port', id)
}

/** Groups whose members a transaction has touched already: many new ports in one request are one change. */
const membersTouched = new WeakMap<Tx, Set<string>>()

/** The members of these groups changed: so do the ports whose rules name them as remote. */
export function touchMembers(tx: Tx, groupIds: readonly string[]): void {
  const done = membersTouched.get(tx) ?? new Set<string>()
  membersTouched.set(tx, done)
  const fresh = [...new Set(groupIds)].filter((id) => !done.has(id))
  if (fresh.length === 0) return
  for (const id of fresh) done.add(id)
  const naming = chunked(fresh).flatMap((part) => tx.db.selectDistinct({ id: securityGroupRules.security_group_id }).from(securityGroupRules).where(inArray(securityGroupRules.remote_group_id, part)).all())
  touchGroups(tx, naming.map(({ id }) => id))
}

/** A network or one of its subnets changed: its ports' hosts and the routers on it compile anew. */
export function touchUsers(tx: Tx, networkId: string): void {
  for (const { id } of tx.db.select({ id: ports.id }).from(ports).where(and(bound, eq(ports.network_id, networkId))).all()) touch(tx, 'port', id)
  for (const id of routersOn(tx.db, networkId)) touch(tx, 'router', id)
}

export function routersOn(db: Db, networkId: string): string[] {
  const inside = db.select({ id: ports.device_id }).from(ports).where(and(eq(ports.network_id, networkId), eq(ports.device_owner, 'network:router_interface'))).all()
  const outside = db.select({ id: routers.id }).from(routers).where(eq(routers.gateway_network_id, networkId)).all()
  return [...new Set([...inside, ...outside].map(({ id }) => id))]
}

/** Hosts on which this project uses a network: its servers' ports and its routers' gateways. */
export function hostsUsing(db: Db, networkId: string): string[] {
  const used = db.selectDistinct({ host_id: ports.host_id }).from(ports).where(and(bound, eq(ports.network_id, networkId))).all().map((row) => row.host_id)
  const routed = chunked(routersOn(db, networkId)).flatMap((part) => db.select({ host_id: routers.host_id }).from(routers).where(inArray(routers.id, part)).all())
  return [...new Set([...used, ...routed.flatMap((row) => (row.host_id === null ? [] : [row.host_id]))])].sort()
}

export const isOwn = (db: Db, networkId: string): boolean => db.select({ id: networks.id }).from(networks).where(eq(networks.id, networkId)).all().length > 0
export const usesGroup = hasGroup
