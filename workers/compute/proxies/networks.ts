/** Nova's old doors to Neutron's networks and floating IPs (up to 2.35; the server actions up to 2.43). */
import * as v from 'valibot'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import type { FloatingIpRecord } from '../../network/floating-ips/store.ts'
import { showNetwork, visibleNetworks } from '../../network/networks/routes.ts'
import { isIPv4, isIPv6 } from '../../../schema/values/ip.ts'
import { decoded } from '../common/texts.ts'
import type { Project } from '../servers/access.ts'

const P = 'os_compute_api:'
export const networkProxyPolicies: PolicyRule[] = [
  { name: `${P}os-networks:list`, check: 'rule:project_reader_or_admin', operations: ['GET /os-networks'] }, { name: `${P}os-tenant-networks:list`, check: 'rule:project_reader_or_admin', operations: ['GET /os-tenant-networks'] },
  { name: `${P}os-floating-ip-pools`, check: '@', operations: ['GET /os-floating-ip-pools'] }, { name: `${P}os-floating-ips:list`, check: 'rule:project_reader_or_admin', operations: ['GET /os-floating-ips'] },
  { name: `${P}os-floating-ips:create`, check: 'rule:project_member_or_admin', operations: ['POST /os-floating-ips'] }, { name: `${P}os-floating-ips:delete`, check: 'rule:project_member_or_admin', operations: ['DELETE /os-floating-ips/{id}'] },
]

const OLD: readonly [number, number] = [1, 35]
type Net = Record<string, unknown>
const tenantNetwork = (network: Net) => ({ id: network.id, label: network.name, cidr: 'None' })
const NULLS = ['bridge', 'bridge_interface', 'broadcast', 'cidr', 'cidr_v6', 'created_at', 'deleted', 'deleted_at', 'dhcp_server', 'dhcp_start', 'dns1', 'dns2', 'gateway', 'gateway_v6', 'host', 'injected', 'multi_host', 'netmask', 'netmask_v6', 'priority', 'project_id', 'rxtx_base', 'updated_at', 'vlan', 'vpn_private_address', 'vpn_public_address', 'vpn_public_port', 'enable_dhcp', 'mtu', 'share_address']
const adminNetwork = (network: Net) => ({ ...Object.fromEntries(NULLS.map((key) => [key, null])), id: network.id, label: network.name })

async function network(ctx: Context): Promise<Net> {
  const id = decoded(ctx.params.id)
  try {
    return await showNetwork(ctx, id)
  } catch (error) {
    throw isFault(error, 'not_found') ? new Fault('not_found', 'Network not found') : error
  }
}

const external = async (ctx: Context): Promise<Net[]> => (await visibleNetworks(ctx)).filter((net: Net) => net['router:external'] === true)

function floatingView(record: FloatingIpRecord, pools: readonly Net[]) {
  const { row, port } = record
  return { id: row.id, ip: row.floating_ip_address, fixed_ip: row.fixed_ip_address, pool: (pools.find((pool) => pool.id === row.floating_network_id)?.name as string | undefined) ?? null, instance_id: port === null || port.device_id === '' ? null : port.device_id }
}

async function findFloating(ctx: Context): Promise<FloatingIpRecord> {
  const id = decoded(ctx.params.id)
  const found = ((await ctx.project.network.floatingIps.list()) as FloatingIpRecord[]).find((record) => record.row.id === id)
  if (found === undefined) throw new Fault('not_found', `Floating IP not found for ID ${id}`)
  return found
}

async function createFloating(ctx: Context) {
  const name = (ctx.body as { pool?: unknown } | null | undefined)?.pool
  const pools = await external(ctx)
  const pool = name === undefined || name === null ? pools[0] : pools.find((one) => one.name === name || one.id === name)
  if (pool === undefined) throw new Fault('not_found', name === undefined || name === null ? 'No floating IP pool is available.' : `Floating IP pool ${String(name)} could not be found.`)
  try {
    const [made] = (await ctx.project.network.floatingIps.createMany([{ floating_network_id: String(pool.id), description: '', dns_name: '', dns_domain: '' } as never])) as FloatingIpRecord[]
    if (made === undefined) throw new Fault('internal', 'No floating IP was made.')
    return { floating_ip: floatingView(made, pools) }
  } catch (error) {
    throw isFault(error, 'over_quota') ? new Fault('over_quota', 'IP allocation over quota.', { status: 403 }) : isFault(error, 'conflict') ? new Fault('not_found', 'No more floating IPs available.') : error
  }
}

const ip = v.pipe(v.string('must be an IP address'), v.check((text) => isIPv4(text) || isIPv6(text), 'must be an IP address'))
export const floatingSchema = () => v.strictObject({ address: ip, fixed_address: v.optional(ip) })

async function floatingNamed(project: Project, address: string): Promise<FloatingIpRecord> {
  const found = ((await project.network.floatingIps.list()) as FloatingIpRecord[]).find((record) => record.row.floating_ip_address === address)
  if (found === undefined) throw new Fault('not_found', 'floating IP not found')
  return found
}

export async function addFloatingIp(project: Project, id: string, args: { address: string; fixed_address?: string }): Promise<void> {
  const [record, ports] = await Promise.all([floatingNamed(project, args.address), project.compute.interfaces.list(id)])
  const port = ports.find((one) => one.fixed_ips.some((fixed) => (args.fixed_address === undefined ? fixed.version === 4 : fixed.ip_address === args.fixed_address)))
  if (port === undefined) throw new Fault('bad_request', args.fixed_address === undefined ? 'No fixed IPs associated to instance' : 'Specified fixed address not assigned to instance')
  const fixed = args.fixed_address ?? port.fixed_ips.find((one) => one.version === 4)?.ip_address
  try {
    await project.network.floatingIps.update(record.row.id, { port_id: port.id, fixed_ip_address: fixed } as never, null)
  } catch (error) {
    throw isFault(error, 'conflict') ? new Fault('bad_request', error.message) : error
  }
}

export async function removeFloatingIp(project: Project, id: string, args: { address: string }): Promise<void> {
  const record = await floatingNamed(project, args.address)
  if (record.port === null || record.port.device_id !== id) throw new Fault('conflict', `Floating IP ${args.address} is not associated with instance ${id}.`)
  await project.network.floatingIps.update(record.row.id, { port_id: null } as never, null)
}

export const networkProxyRoutes = [
  route({ method: 'GET', path: '/v2.1/os-networks', policy: `${P}os-networks:list`, versions: OLD, handle: async (ctx) => ({ networks: (await visibleNetworks(ctx)).map(adminNetwork) }) }),
  route({ method: 'GET', path: '/v2.1/os-networks/:id', policy: `${P}os-networks:list`, versions: OLD, handle: async (ctx) => ({ network: adminNetwork(await network(ctx)) }) }),
  route({ method: 'GET', path: '/v2.1/os-tenant-networks', policy: `${P}os-tenant-networks:list`, versions: OLD, handle: async (ctx) => ({ networks: (await visibleNetworks(ctx)).map(tenantNetwork) }) }),
  route({ method: 'GET', path: '/v2.1/os-tenant-networks/:id', policy: `${P}os-tenant-networks:list`, versions: OLD, handle: async (ctx) => ({ network: tenantNetwork(await network(ctx)) }) }),
  route({ method: 'GET', path: '/v2.1/os-floating-ip-pools', policy: `${P}os-floating-ip-pools`, versions: OLD, handle: async (ctx) => ({ floating_ip_pools: (await external(ctx)).map((pool) => ({ name: pool.name })) }) }),
  route({
    method: 'GET', path: '/v2.1/os-floating-ips', policy: `${P}os-floating-ips:list`, versions: OLD,
    handle: async (ctx) => {
      const [records, pools] = await Promise.all([ctx.project.network.floatingIps.list() as Promise<FloatingIpRecord[]>, external(ctx)])
      return { floating_ips: records.map((record) => floatingView(record, pools)) }
    },
  }),
  route({ method: 'POST', path: '/v2.1/os-floating-ips', policy: `${P}os-floating-ips:create`, versions: OLD, body: 'json', handle: createFloating }),
  route({ method: 'GET', path: '/v2.1/os-floating-ips/:id', policy: `${P}os-floating-ips:list`, versions: OLD, handle: async (ctx) => ({ floating_ip: floatingView(await findFloating(ctx), await external(ctx)) }) }),
  route({
    method: 'DELETE', path: '/v2.1/os-floating-ips/:id', policy: `${P}os-floating-ips:delete`, versions: OLD,
    handle: async (ctx) => {
      const { row } = await findFloating(ctx)
      await ctx.project.network.floatingIps.remove(row.id, null)
      return reply({ status: 202 })
    },
  }),
]
