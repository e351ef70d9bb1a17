/** What other services' handlers ask of Neutron without going through its API. */
import type { PortRequest } from '../../durable-objects/project/peers.ts'
import type { Context } from '../http/context.ts'
import type { RequestedNetworks } from './plane/prepare.ts'

export type { RequestedNetwork, RequestedNetworks } from './plane/prepare.ts'

/**
 * Nova's `networks` as port requests for PortsPeer.takeForServer. null (nothing was asked for) and 'auto' pick the project's only network. Addresses on other
 * projects' networks are claimed: when the server then is not made, call `abandonNetworks` (what is left anyway is found and released later).
 * Faults carry Neutron's types: NetworkNotFound, PortNotFound, PortInUse, NetworkAmbiguous, ExternalNetworkAttachForbidden, InvalidIpForNetwork...
 */
export const prepareNetworks = (ctx: Context, requested: RequestedNetworks): Promise<PortRequest[]> => ctx.project.network.serverNetworks.prepare(requested)

export const abandonNetworks = (ctx: Context, requests: PortRequest[]): Promise<void> => ctx.project.network.serverNetworks.abandon(requests)
