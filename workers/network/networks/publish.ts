/**
 * A network's life outside its project: its segment id from the region, its description for those who may see it, and for those who use it already. One
 * idempotent step, `settle`, run by the outbox after each change and awaited by handlers whose answer must imply that others see it.
 */
import { eq } from 'drizzle-orm'
import type { Db, Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import type { Task } from '../../../durable-objects/kernel/outbox.ts'
import { type NetworkRow, claims, networks, ports, rbacPolicies } from '../../../schema/project/network.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { bumped } from '../api/standard.ts'
import { compileSubnet } from '../plane/compile.ts'
import { DHCP_OWNER, type PublishedNetwork, subnetsOf } from '../plane/known.ts'
import { withOwner } from '../plane/sessions.ts'
import { onRegion } from '../../../durable-objects/kernel/sessions.ts'
import { touch } from '../plane/touch.ts'

/** A step that is never given up waits this long before it is promised anew. */
export const REPEAT_MS = 5_000

export interface Settle {
  network_id: string
  /** The segment id an operator asked for. */
  segment_id?: number | null
}

export const networkSettle: Task<Deps> = {
  run: async (deps, { network_id, segment_id }: Settle, { request_id }) => await settle(deps, network_id, request_id, segment_id ?? null),
  /** Tried again, then with any segment id: the one asked for was taken, and whoever asked has been told. */
  expire: (deps, { network_id }: Settle, _error, { request_id }) => deps.commit(systemCaller(request_id), (tx) => tx.outbox('network-settle', { network_id }, { key: `settle:${network_id}`, delay_ms: REPEAT_MS })),
}

const chains = new WeakMap<Deps, Map<string, Promise<void>>>()

/** One at a time per network, so that an older description is never published over a newer one. */
export async function settle(deps: Deps, networkId: string, requestId: string, wanted: number | null = null): Promise<void> {
  const mine = chains.get(deps) ?? new Map<string, Promise<void>>()
  chains.set(deps, mine)
  const before = mine.get(networkId) ?? Promise.resolve()
  const work = before.catch(() => {}).then(() => settleNow(deps, networkId, requestId, wanted))
  mine.set(networkId, work)
  try {
    await work
  } finally {
    if (mine.get(networkId) === work) mine.delete(networkId)
  }
}

async function settleNow(deps: Deps, networkId: string, requestId: string, wanted: number | null): Promise<void> {
  const region = deps.env.REGION.getByName(REGION_OBJECT_NAME)
  const row = rowOf(deps.db, networkId)
  if (row === undefined) {
    await region.publish('network', networkId, deps.name, [], null)
    await onRegion(deps.env, requestId, (session) => session.network.segments.release(networkId))
    return
  }
  if (row.segment_id === null) await giveSegment(deps, row, requestId, wanted)
  const data = describe(deps, networkId)
  if (data === null) return
  // A network that was never known to anybody has nothing to publish or to withdraw.
  if (row.segment_id !== null || data.grants.length > 0) await region.publish('network', networkId, deps.name, audiencesOf(data), data)
  const users = deps.db.selectDistinct({ project_id: claims.project_id }).from(claims).where(eq(claims.network_id, networkId)).all()
  await Promise.all(users.filter((user) => user.project_id !== deps.name).map((user) => withOwner(deps, user.project_id, requestId, (network) => network.foreign.refresh(data))))
}

async function giveSegment(deps: Deps, row: NetworkRow, requestId: string, wanted: number | null): Promise<void> {
  const segment_id = await onRegion(deps.env, requestId, (region) => region.network.segments.allocate(row.id, deps.name, wanted))
  deps.commit(systemCaller(requestId), (tx) => {
    const now = rowOf(tx.db, row.id)
    if (now === undefined || now.segment_id !== null) return
    tx.db.update(networks).set({ segment_id }).where(eq(networks.id, row.id)).run()
    tx.change('network', row.id, 'update', { segment_id: null }, { segment_id })
    touch(tx, 'network', row.id)
  })
}

const rowOf = (db: Db, id: string) => db.select().from(networks).where(eq(networks.id, id)).all()[0]

const audiencesOf = (data: PublishedNetwork): string[] => [...new Set(data.grants.map((grant) => grant.target))]

/** The network as others get to know it; null where there is none. */
export function describe(deps: Pick<Deps, 'db' | 'name'>, networkId: string): PublishedNetwork | null {
  const row = rowOf(deps.db, networkId)
  if (row === undefined) return null
  const subnets = subnetsOf(deps.db, networkId)
  const dhcp = deps.db.select().from(ports).where(eq(ports.network_id, networkId)).all().find((port) => port.device_owner === DHCP_OWNER) ?? null
  const grants = deps.db.select().from(rbacPolicies).where(eq(rbacPolicies.object_id, networkId)).all().map(({ action, target_tenant }) => ({ action, target: target_tenant }))
  return {
    id: row.id, owner_id: deps.name, name: row.name, segment_id: row.segment_id ?? 0, mtu: row.mtu, external: row.external, shared: row.shared, physical_network: row.physical_network,
    port_security_enabled: row.port_security_enabled, dhcp_mac: dhcp?.mac_address ?? null, subnets: subnets.map((subnet) => compileSubnet(subnet, dhcp)),
    version: row.revision_number * 2 + (row.segment_id === null ? 0 : 1), rows: { network: row, subnets }, grants,
  }
}

/** Bumps what a change of its subnets or grants means for a network: a new revision, and a settle where somebody else may know it. */
export function networkMoved(tx: Tx, networkId: string): void {
  const row = rowOf(tx.db, networkId)
  if (row !== undefined) tx.db.update(networks).set(bumped(tx, row)).where(eq(networks.id, networkId)).run()
  if (isPublic(tx.db, networkId)) tx.outbox('network-settle', { network_id: networkId }, { key: `settle:${networkId}` })
}

/** True where others may see or already use the network. */
export const isPublic = (db: Db, networkId: string): boolean =>
  db.select({ id: rbacPolicies.id }).from(rbacPolicies).where(eq(rbacPolicies.object_id, networkId)).limit(1).all().length > 0 || db.select({ id: claims.holder_id }).from(claims).where(eq(claims.network_id, networkId)).limit(1).all().length > 0
