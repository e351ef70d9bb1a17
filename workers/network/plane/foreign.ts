/**
 * Networks across projects, both sides. The owner gives out addresses (`claim`, idempotent by holder) and takes them back when told; a claim whose port or
 * floating IP never came to be is found by asking the claimant's project, never by silence. The claimant keeps the owner's last description.
 */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import type { Task } from '../../../durable-objects/kernel/outbox.ts'
import { type FixedIp, addresses, carriers, claims, floatingIps, ports } from '../../../schema/project/network.ts'
import { type Caller, systemCaller } from '../../../schema/values/caller.ts'
import { macInUse, noAddresses, notFound } from '../faults.ts'
import { formatIp, valueOfKey } from '../../../schema/values/ip.ts'
import { REPEAT_MS, describe } from '../networks/publish.ts'
import { type AddressWish, allocate, reallocate, releaseHolder, takeAny } from './addresses.ts'
import { type Claim, type PublishedNetwork, rememberForeign, subnetsOf } from './known.ts'
import { macTaken, newMac } from './mac.ts'
import { withOwner } from './sessions.ts'
import { hostsUsing, touch, touchUsers } from './touch.ts'

/** How long a claim may wait for its port or floating IP before its claimant is asked. */
export const CLAIM_SETTLE_MS = 120_000

export interface ClaimRequest {
  network_id: string
  holder_id: string
  kind: 'port' | 'floatingip'
  project_id: string
  device_owner: string
  mac_address?: string
  /** Absent: what a port gets by itself. */
  fixed_ips?: AddressWish[]
}

export class Foreign extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** Owner: addresses (and a MAC) for another project's port or floating IP. The same holder again gets what it has. */
  claim(request: ClaimRequest): Claim {
    return this.#deps.commit(this.#caller, (tx) => {
      const { network_id, holder_id } = request
      const network = describe(this.#deps, network_id)
      if (network === null) throw notFound('network', network_id)
      const [before] = tx.db.select().from(claims).where(eq(claims.holder_id, holder_id)).all()
      if (before !== undefined) return { network, holder_id, mac_address: before.mac_address, fixed_ips: this.#held(tx, holder_id) }
      const mac_address = request.kind === 'port' ? this.#mac(tx, network_id, request.mac_address) : null
      tx.db.insert(claims).values({ holder_id, kind: request.kind, network_id, project_id: request.project_id, mac_address, created_ms: tx.now_ms }).run()
      const fixed_ips = this.#addresses(tx, request, mac_address)
      tx.change('network-claim', holder_id, 'create', null, { network_id, project_id: request.project_id, fixed_ips })
      tx.outbox('network-claim-settle', { holder_id, project_id: request.project_id }, { delay_ms: CLAIM_SETTLE_MS, deadline_ms: CLAIM_SETTLE_MS * 10 })
      return { network, holder_id, mac_address, fixed_ips }
    })
  }

  /** Owner: other addresses for a holder that has some. */
  reclaim(holderId: string, wishes: AddressWish[]): Claim {
    return this.#deps.commit(this.#caller, (tx) => {
      const [claim] = tx.db.select().from(claims).where(eq(claims.holder_id, holderId)).all()
      if (claim === undefined) throw notFound('port', holderId)
      const before = this.#held(tx, holderId)
      const fixed_ips = reallocate(tx, claim.network_id, subnetsOf(tx.db, claim.network_id), before, wishes, { id: holderId, mac_address: claim.mac_address ?? '', device_owner: '' })
      tx.change('network-claim', holderId, 'update', { fixed_ips: before }, { fixed_ips })
      const network = describe(this.#deps, claim.network_id)
      if (network === null) throw notFound('network', claim.network_id)
      return { network, holder_id: holderId, mac_address: claim.mac_address, fixed_ips }
    })
  }

  /** Owner: the holder is gone. Idempotent. */
  release(holderId: string): void {
    this.#deps.commit(this.#caller, (tx) => releaseClaim(tx, holderId))
  }

  /** Owner: hosts on which a project uses the network now. */
  carry(networkId: string, projectId: string, hosts: string[]): void {
    this.#deps.commit(this.#caller, (tx) => {
      const mine = and(eq(carriers.network_id, networkId), eq(carriers.project_id, projectId))
      const before = tx.db.select({ host_id: carriers.host_id }).from(carriers).where(mine).all().map((row) => row.host_id).sort()
      if (before.join() === [...hosts].sort().join()) return
      tx.db.delete(carriers).where(mine).run()
      for (const host_id of new Set(hosts)) tx.db.insert(carriers).values({ network_id: networkId, project_id: projectId, host_id }).run()
      touch(tx, 'network', networkId)
    })
  }

  /** Claimant: the owner's network is different now. */
  refresh(data: PublishedNetwork): void {
    this.#deps.commit(this.#caller, (tx) => {
      if (rememberForeign(tx, data)) touchUsers(tx, data.id)
    })
  }

  /** Claimant: is there a port or floating IP of this id? */
  holds(holderId: string): boolean {
    const { db } = this.#deps
    return db.select({ id: ports.id }).from(ports).where(eq(ports.id, holderId)).all().length + db.select({ id: floatingIps.id }).from(floatingIps).where(eq(floatingIps.id, holderId)).all().length > 0
  }

  #held(tx: Tx, holderId: string): FixedIp[] {
    return tx.db.select().from(addresses).where(eq(addresses.holder_id, holderId)).all().map((row) => {
      const subnet = subnetsOf(tx.db, row.network_id).find((one) => one.id === row.subnet_id)
      return { subnet_id: row.subnet_id, ip_address: formatIp(subnet?.ip_version ?? 4, valueOfKey(row.ip)) }
    })
  }

  #mac(tx: Tx, networkId: string, wanted: string | undefined): string {
    if (wanted === undefined) return newMac(this.#deps, tx.db, networkId)
    if (macTaken(tx.db, networkId, wanted)) throw macInUse(networkId, wanted)
    return wanted
  }

  #addresses(tx: Tx, request: ClaimRequest, mac: string | null): FixedIp[] {
    const subnets = subnetsOf(tx.db, request.network_id)
    if (request.kind === 'port') return allocate(tx, request.network_id, subnets, request.fixed_ips, { id: request.holder_id, mac_address: mac ?? '', device_owner: request.device_owner })
    return [takeFloating(tx, request.network_id, request.holder_id, request.fixed_ips?.[0])]
  }
}

/** A floating IP's address: version 4, of the subnet or the very address wished for. */
export function takeFloating(tx: Tx, networkId: string, holderId: string, wish: AddressWish = {}): FixedIp {
  const subnets = subnetsOf(tx.db, networkId).filter((subnet) => subnet.ip_version === 4 && (wish.subnet_id === undefined || wish.subnet_id === subnet.id))
  if (wish.ip_address !== undefined) {
    const [fixed] = allocate(tx, networkId, subnets, [wish], { id: holderId, mac_address: '', device_owner: 'network:router_floatingip' })
    if (fixed !== undefined) return fixed
  }
  for (const subnet of subnets) {
    const fixed = takeAny(tx, subnet, holderId)
    if (fixed !== null) return fixed
  }
  throw noAddresses(networkId)
}

export function releaseClaim(tx: Tx, holderId: string): void {
  const [claim] = tx.db.delete(claims).where(eq(claims.holder_id, holderId)).returning().all()
  if (claim === undefined) return
  releaseHolder(tx, new Map(subnetsOf(tx.db, claim.network_id).map((subnet) => [subnet.id, subnet])), holderId)
  tx.change('network-claim', holderId, 'delete', claim, null)
}

/** Owner: a claim that waited long: keep it if its claimant has the holder, release it if it says that it has not. */
export const claimSettle: Task<Deps> = {
  run: async (deps, { holder_id, project_id }: { holder_id: string; project_id: string }, { request_id }) => {
    if (deps.db.select({ id: claims.holder_id }).from(claims).where(eq(claims.holder_id, holder_id)).all().length === 0) return
    if (!(await withOwner(deps, project_id, request_id, (network) => network.foreign.holds(holder_id)))) deps.commit(systemCaller(request_id), (tx) => releaseClaim(tx, holder_id))
  },
  /** No answer is no permission: it is asked again. */
  expire: (deps, payload, _error, { request_id }) => deps.commit(systemCaller(request_id), (tx) => tx.outbox('network-claim-settle', payload, { delay_ms: CLAIM_SETTLE_MS, deadline_ms: CLAIM_SETTLE_MS * 10 })),
}

/** Claimant: tells the owner that a holder is gone. */
export const networkRelease: Task<Deps> = {
  run: async (deps, { owner_id, holder_id }: { owner_id: string; holder_id: string }, { request_id }) => {
    await withOwner(deps, owner_id, request_id, (network) => network.foreign.release(holder_id))
  },
  expire: (deps, payload: { holder_id: string }, _error, { request_id }) => deps.commit(systemCaller(request_id), (tx) => tx.outbox('network-release', payload, { key: `holder:${payload.holder_id}`, delay_ms: REPEAT_MS })),
}

/** Claimant: tells the owner on which hosts its network is used here. */
export const networkCarry: Task<Deps> = {
  run: async (deps, { network_id, owner_id }: { network_id: string; owner_id: string }, { request_id }) => {
    await withOwner(deps, owner_id, request_id, (network) => network.foreign.carry(network_id, deps.name, hostsUsing(deps.db, network_id)))
  },
  expire: (deps, payload: { network_id: string }, _error, { request_id }) => deps.commit(systemCaller(request_id), (tx) => tx.outbox('network-carry', payload, { key: `carry:${payload.network_id}`, delay_ms: REPEAT_MS })),
}
