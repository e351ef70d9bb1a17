/**
 * Finds the network that a port, gateway or floating IP is wanted on, whoever owns it, and claims addresses there where it is another project's. Runs in the
 * claimant's object before its transaction; what was claimed in vain is given back (and found by the owner if we die in between).
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { tagOf } from '../../../schema/values/ids.ts'
import { notFound } from '../faults.ts'
import { sharedWith } from '../networks/views.ts'
import type { ClaimRequest } from './foreign.ts'
import type { Claim, PublishedNetwork } from './known.ts'
import type { NetworkStores } from '../project.ts'
import { withOwner } from './sessions.ts'
import { onRegion } from '../../../durable-objects/kernel/sessions.ts'
import { isOwn } from './touch.ts'

const isAdmin = (caller: Caller) => caller.roles.includes('admin')

/** Another project's network: published to this one, or (for an admin) any. Null where it is this project's own. */
export async function foreignNetwork(deps: Deps, caller: Caller, networkId: string): Promise<PublishedNetwork | null> {
  if (isOwn(deps.db, networkId)) return null
  const published = await onRegion(deps.env, caller.request_id, (region) => region.directory.publishedById('network', networkId, deps.name))
  if (published !== null) return published.data as PublishedNetwork
  const found = await amongOwners(deps, caller, networkId, (network) => network.networks.describe(networkId))
  if (found === null) throw notFound('network', networkId)
  return found
}

/** The network of a subnet that is not this project's. */
export async function foreignNetworkOfSubnet(deps: Deps, caller: Caller, subnetId: string): Promise<PublishedNetwork> {
  const published = (await onRegion(deps.env, caller.request_id, (region) => region.directory.published('network', deps.name))).map((one) => one.data as PublishedNetwork)
  const shared = published.find((network) => network.owner_id !== deps.name && sharedWith(network, deps.name) && network.rows.subnets.some((subnet) => subnet.id === subnetId))
  const found = shared ?? (await amongOwners(deps, caller, subnetId, async (network) => await network.networks.describe((await network.subnets.get(subnetId)).network_id)))
  if (found === null) throw notFound('subnet', subnetId)
  return found
}

/** For an admin: what one of the projects that may own the id says. */
async function amongOwners<T>(deps: Deps, caller: Caller, id: string, ask: (network: Remote<NetworkStores>) => Promise<T>): Promise<T | null> {
  if (!isAdmin(caller)) return null
  for (const owner of await onRegion(deps.env, caller.request_id, (region) => region.directory.projectsByTag(tagOf(id)))) {
    if (owner === deps.name) continue
    try {
      return await withOwner(deps, owner, caller.request_id, ask)
    } catch (error) {
      if (!isFault(error, 'not_found')) throw error
    }
  }
  return null
}

export const claimOn = (deps: Deps, caller: Caller, network: PublishedNetwork, request: Omit<ClaimRequest, 'network_id' | 'project_id'>): Promise<Claim> =>
  withOwner(deps, network.owner_id, caller.request_id, (owner) => owner.foreign.claim({ ...request, network_id: network.id, project_id: deps.name }))

/** Gives back at once what a deletion freed elsewhere; the outbox does it where this fails. */
export async function releaseNow(deps: Deps, caller: Caller, ownerId: string | null, holderId: string): Promise<void> {
  if (ownerId !== null) await withOwner(deps, ownerId, caller.request_id, (owner) => owner.foreign.release(holderId)).catch(() => {})
}

/** Runs `work` with claims that are given back should it fail. */
export async function withClaims<T>(deps: Deps, caller: Caller, work: (claims: Claim[]) => Promise<T> | T): Promise<T> {
  const made: Claim[] = []
  try {
    return await work(made)
  } catch (error) {
    await Promise.all(made.map((claim) => releaseNow(deps, caller, claim.network.owner_id, claim.holder_id)))
    throw error
  }
}

/** What a tenant may not ask of another's network. */
export function refuseOnForeign(caller: Caller, network: PublishedNetwork, projectId: string, given: { mac_address?: unknown; fixed_ips?: readonly { ip_address?: string }[] | null; port_security_enabled?: unknown; allowed_address_pairs?: readonly unknown[] }): void {
  if (isAdmin(caller)) return
  const rule = (name: string) => new Fault('forbidden', `((rule:create_port and rule:create_port:${name})) is disallowed by policy`, { type: 'PolicyNotAuthorized' })
  if (!sharedWith(network, projectId)) throw new Fault('forbidden', `It is not allowed to create a port on external network ${network.id}`, { type: 'PolicyNotAuthorized' })
  if (given.mac_address !== undefined) throw rule('mac_address')
  if (given.fixed_ips?.some((wish) => wish.ip_address !== undefined)) throw rule('fixed_ips:ip_address')
  if (given.port_security_enabled !== undefined) throw rule('port_security_enabled')
  if ((given.allowed_address_pairs?.length ?? 0) > 0) throw rule('allowed_address_pairs')
}

