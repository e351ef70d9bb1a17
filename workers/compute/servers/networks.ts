/** The networks of a boot request as ports to take, one list for each server. Addresses on other projects' networks are claimed by Neutron meanwhile. */
import type { PortRequest } from '../../../durable-objects/project/peers.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { type RequestedNetworks, abandonNetworks, prepareNetworks } from '../../network/internal.ts'
import type { NetworkRequest } from './requests.ts'

/** Neutron's refusals as Nova words and numbers them. */
function worded(error: unknown): unknown {
  if (!isFault(error)) return error
  if (error.kind === 'not_found') return new Fault('bad_request', error.message)
  if (error.kind === 'over_quota') return new Fault('over_quota', 'Maximum number of ports exceeded', { status: 403 })
  if (error.type === 'IpAddressInUse' || error.type === 'IpAddressAlreadyAllocated') return new Fault('bad_request', error.message)
  return error
}

function wished(requested: NetworkRequest[] | 'auto' | 'none' | undefined, count: number): RequestedNetworks {
  if (requested === undefined || requested === 'auto' || requested === 'none') return requested ?? null
  if (requested.length === 0) return null
  const ports = requested.filter((request) => request.port != null)
  if (ports.length > 0 && count > 1) throw new Fault('bad_request', 'Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.')
  if (count > 1 && requested.some((request) => request.fixed_ip !== undefined)) throw new Fault('bad_request', 'Unable to launch multiple instances with a single fixed IP.')
  for (const request of requested) if (request.uuid === undefined && request.port == null) throw new Fault('bad_request', 'Bad network format: missing uuid or port')
  if (new Set(ports.map((request) => request.port)).size < ports.length) throw new Fault('bad_request', 'A port was given twice.')
  return requested.map((request) => ({ ...(request.port == null ? { uuid: request.uuid ?? '', fixed_ip: request.fixed_ip ?? null } : { port: request.port }), tag: request.tag ?? null }))
}

export async function portRequests(ctx: Context, requested: NetworkRequest[] | 'auto' | 'none' | undefined, count: number): Promise<PortRequest[][]> {
  const wish = wished(requested, count)
  if (wish === 'none') return []
  const lists: PortRequest[][] = []
  try {
    for (let i = 0; i < count; i++) {
      lists.push(await prepareNetworks(ctx, wish))
      // What is the project's own needs no claim, and is the same for every server.
      if (lists[0]?.every((request) => request.foreign === undefined)) return Array.from({ length: count }, () => lists[0] ?? [])
    }
    return lists
  } catch (error) {
    for (const list of lists) await abandonNetworks(ctx, list)
    throw worded(error)
  }
}

/** Gives back claims of a boot that did not come to be. */
export async function abandonAll(ctx: Context, lists: PortRequest[][]): Promise<void> {
  for (const list of lists) if (list.some((request) => request.foreign !== undefined)) await abandonNetworks(ctx, list)
}
