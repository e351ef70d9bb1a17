/** Routes of a server's ports and security groups. */
import * as v from 'valibot'
import type { PortInfo } from '../../../durable-objects/project/peers.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'
import { isIPv4, isIPv6 } from '../../../schema/values/ip.ts'
import { shape, uuid, wrap } from '../common/schemas.ts'
import { decoded } from '../common/texts.ts'
import { acting, onServer } from '../servers/access.ts'
import { abandonAll, portRequests } from '../servers/networks.ts'
import { tag } from '../servers/requests.ts'

const P = 'os_compute_api:os-attach-interfaces'
const ip = v.pipe(v.string(), v.check((text) => isIPv4(text) || isIPv6(text), 'must be an IP address'))

interface Attach {
  net_id?: string
  port_id?: string
  fixed_ips?: { ip_address: string }[]
  tag?: string
}

const body = (minor: number) =>
  wrap('interfaceAttachment', shape<Attach>({ net_id: v.optional(uuid), port_id: v.optional(uuid), fixed_ips: v.optional(v.pipe(v.array(v.strictObject({ ip_address: ip })), v.minLength(1), v.maxLength(1))) }, minor >= 49 && { tag: v.optional(tag) }))

export const interfaceView = (minor: number, port: PortInfo) => ({
  port_id: port.id, net_id: port.network_id, port_state: port.status, mac_addr: port.mac_address, fixed_ips: port.fixed_ips.map((ip) => ({ subnet_id: ip.subnet_id, ip_address: ip.ip_address })), ...(minor >= 70 ? { tag: port.tag } : {}),
})

async function attach(ctx: Context<{ interfaceAttachment: Attach }>) {
  const given = ctx.body.interfaceAttachment
  if (given.net_id !== undefined && given.port_id !== undefined) throw new Fault('bad_request', 'Must not input both network_id and port_id')
  if (given.fixed_ips !== undefined && given.net_id === undefined) throw new Fault('bad_request', 'Must input network_id when request IP address')
  return onServer(ctx, `${P}:create`, async (project, id) => {
    const requested = given.net_id === undefined && given.port_id === undefined ? undefined : [{ ...(given.net_id === undefined ? {} : { uuid: given.net_id }), ...(given.port_id === undefined ? {} : { port: given.port_id }), ...(given.fixed_ips?.[0] === undefined ? {} : { fixed_ip: given.fixed_ips[0].ip_address }), ...(given.tag === undefined ? {} : { tag: given.tag }) }]
    const requests = await portRequests(ctx, requested, 1)
    const request = requests[0]?.[0]
    if (request === undefined) throw new Fault('bad_request', 'No network is available to attach to.')
    const port = await project.compute.interfaces.attach(id, request, acting(ctx).locked_override).catch(async (error: unknown) => {
      await abandonAll(ctx, requests)
      throw error
    })
    return { interfaceAttachment: interfaceView(ctx.version[1], port) }
  })
}

export const interfaceRoutes = [
  route({ method: 'GET', path: '/v2.1/servers/:id/os-interface', policy: `${P}:list`, handle: (ctx) => onServer(ctx, `${P}:list`, async (project, id) => ({ interfaceAttachments: (await project.compute.interfaces.list(id)).map((port) => interfaceView(ctx.version[1], port)) })) }),
  route({ method: 'POST', path: '/v2.1/servers/:id/os-interface', policy: `${P}:create`, body, handle: attach }),
  route({ method: 'GET', path: '/v2.1/servers/:id/os-interface/:port', policy: `${P}:show`, handle: (ctx) => onServer(ctx, `${P}:show`, async (project, id) => ({ interfaceAttachment: interfaceView(ctx.version[1], await project.compute.interfaces.get(id, decoded(ctx.params.port))) })) }),
  route({
    method: 'DELETE', path: '/v2.1/servers/:id/os-interface/:port', policy: `${P}:delete`,
    handle: (ctx) => onServer(ctx, `${P}:delete`, async (project, id) => {
      await project.compute.interfaces.detach(id, decoded(ctx.params.port), acting(ctx).locked_override)
      return reply({ status: 202 })
    }),
  }),
  route({
    method: 'GET', path: '/v2.1/servers/:id/os-virtual-interfaces', policy: `${P}:list`, versions: [1, 43],
    handle: (ctx) => onServer(ctx, `${P}:list`, async (project, id) => ({ virtual_interfaces: (await project.compute.interfaces.list(id)).map((port) => ({ id: port.id, mac_address: port.mac_address, ...(ctx.at(12) ? { net_id: port.network_id } : {}) })) })),
  }),
]
