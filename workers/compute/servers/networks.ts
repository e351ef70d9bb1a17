/** The networks of a boot request as ports to take, one list for each server. */
import type { PortRequest } from '../../../durable-objects/project/peers.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { NewServers } from './create.ts'
import type { NetworkRequest } from './requests.ts'

export async function portRequests(_ctx: Context, requested: NetworkRequest[] | 'auto' | 'none' | undefined, count: number): Promise<NewServers['networks']> {
  if (requested === undefined || requested === 'auto') return 'auto'
  if (requested === 'none') return 'none'
  if (requested.length === 0) return 'auto'
  const ports = requested.filter((request) => request.port != null)
  if (ports.length > 0 && count > 1) throw new Fault('bad_request', 'Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.')
  if (count > 1 && requested.some((request) => request.fixed_ip !== undefined)) throw new Fault('bad_request', 'Unable to launch multiple instances with a single fixed IP.')
  for (const request of requested) if (request.uuid === undefined && request.port == null) throw new Fault('bad_request', 'Bad network format: missing uuid or port')
  if (new Set(ports.map((request) => request.port)).size < ports.length) throw new Fault('bad_request', 'A port was given twice.')
  const one = requested.map((request): PortRequest => ({
    ...(request.port == null ? { network_id: request.uuid ?? '', fixed_ip: request.fixed_ip ?? null } : { port_id: request.port }), tag: request.tag ?? null,
  }))
  return Array.from({ length: count }, () => one)
}
