/** Routes of what hangs on one server: metadata, tags, addresses, security groups, diagnostics, password, topology. */
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'
import { decoded } from '../common/texts.ts'
import { acting, onServer } from './access.ts'
import { metaBody, metadataBody, tagsBody, tag as tagSchema } from './requests.ts'
import { addressesOf } from './views.ts'
import { safeParse } from 'valibot'

const P = 'os_compute_api:'
const override = (ctx: Context) => acting(ctx).locked_override

function oneItem(ctx: Context, meta: Record<string, string>): Record<string, string> {
  const key = decoded(ctx.params.key)
  const keys = Object.keys(meta)
  if (keys.length !== 1 || keys[0] !== key) throw new Fault('bad_request', keys.length > 1 ? 'Request body contains too many items' : 'Request body and URI mismatch')
  return meta
}

const metadataRoutes = [
  route({ method: 'GET', path: '/v2.1/servers/:id/metadata', policy: `${P}server-metadata:index`, handle: (ctx) => onServer(ctx, `${P}server-metadata:index`, async (project, id) => ({ metadata: (await project.compute.servers.get(id)).metadata })) }),
  route({
    method: 'POST', path: '/v2.1/servers/:id/metadata', policy: `${P}server-metadata:create`, body: metadataBody,
    handle: (ctx) => onServer(ctx, `${P}server-metadata:create`, async (project, id) => ({ metadata: await project.compute.servers.setMetadata(id, ctx.body.metadata, false, override(ctx)) })),
  }),
  route({
    method: 'PUT', path: '/v2.1/servers/:id/metadata', policy: `${P}server-metadata:update_all`, body: metadataBody,
    handle: (ctx) => onServer(ctx, `${P}server-metadata:update_all`, async (project, id) => ({ metadata: await project.compute.servers.setMetadata(id, ctx.body.metadata, true, override(ctx)) })),
  }),
  route({
    method: 'GET', path: '/v2.1/servers/:id/metadata/:key', policy: `${P}server-metadata:show`,
    handle: (ctx) => onServer(ctx, `${P}server-metadata:show`, async (project, id) => {
      const key = decoded(ctx.params.key)
      const value = (await project.compute.servers.get(id)).metadata[key]
      if (value === undefined) throw new Fault('not_found', 'Metadata item was not found')
      return { meta: { [key]: value } }
    }),
  }),
  route({
    method: 'PUT', path: '/v2.1/servers/:id/metadata/:key', policy: `${P}server-metadata:update`, body: metaBody,
    handle: (ctx) => onServer(ctx, `${P}server-metadata:update`, async (project, id) => {
      const meta = oneItem(ctx, ctx.body.meta)
      await project.compute.servers.setMetadata(id, meta, false, override(ctx))
      return { meta }
    }),
  }),
  route({
    method: 'DELETE', path: '/v2.1/servers/:id/metadata/:key', policy: `${P}server-metadata:delete`,
    handle: (ctx) => onServer(ctx, `${P}server-metadata:delete`, async (project, id) => {
      await project.compute.servers.deleteMetadata(id, decoded(ctx.params.key), override(ctx))
      return reply({ status: 204 })
    }),
  }),
]

function tagOf(ctx: Context): string {
  const tag = decoded(ctx.params.tag)
  const parsed = safeParse(tagSchema, tag)
  if (!parsed.success) throw new Fault('bad_request', `Invalid input for field/attribute tag. Value: ${tag}. ${parsed.issues[0].message}`)
  return tag
}

const TAGS: readonly [number, null] = [26, null]
const tagRoutes = [
  route({ method: 'GET', path: '/v2.1/servers/:id/tags', policy: `${P}os-server-tags:index`, versions: TAGS, handle: (ctx) => onServer(ctx, `${P}os-server-tags:index`, async (project, id) => ({ tags: (await project.compute.servers.get(id)).tags })) }),
  route({
    method: 'PUT', path: '/v2.1/servers/:id/tags', policy: `${P}os-server-tags:update_all`, versions: TAGS, body: tagsBody,
    handle: (ctx) => onServer(ctx, `${P}os-server-tags:update_all`, async (project, id) => ({ tags: (await project.compute.servers.setTags(id, ctx.body.tags)).tags })),
  }),
  route({
    method: 'DELETE', path: '/v2.1/servers/:id/tags', policy: `${P}os-server-tags:delete_all`, versions: TAGS,
    handle: (ctx) => onServer(ctx, `${P}os-server-tags:delete_all`, async (project, id) => {
      await project.compute.servers.setTags(id, [])
      return reply({ status: 204 })
    }),
  }),
  route({
    method: 'GET', path: '/v2.1/servers/:id/tags/:tag', policy: `${P}os-server-tags:show`, versions: TAGS,
    handle: (ctx) => onServer(ctx, `${P}os-server-tags:show`, async (project, id) => {
      const tag = decoded(ctx.params.tag)
      if (!(await project.compute.servers.get(id)).tags.includes(tag)) throw new Fault('not_found', `Server ${id} has no tag '${tag}'`)
      return reply({ status: 204 })
    }),
  }),
  route({
    method: 'PUT', path: '/v2.1/servers/:id/tags/:tag', policy: `${P}os-server-tags:update`, versions: TAGS,
    handle: (ctx) => onServer(ctx, `${P}os-server-tags:update`, async (project, id) => {
      const tag = tagOf(ctx)
      const { made } = await project.compute.servers.setTags(id, { add: tag })
      return reply({ status: made ? 201 : 204, headers: { location: `${ctx.origin}/compute/v2.1/servers/${id}/tags/${encodeURIComponent(tag)}` } })
    }),
  }),
  route({
    method: 'DELETE', path: '/v2.1/servers/:id/tags/:tag', policy: `${P}os-server-tags:delete`, versions: TAGS,
    handle: (ctx) => onServer(ctx, `${P}os-server-tags:delete`, async (project, id) => {
      await project.compute.servers.setTags(id, { remove: decoded(ctx.params.tag) })
      return reply({ status: 204 })
    }),
  }),
]

const STATES: Record<string, string> = { running: 'running', paused: 'paused', shutdown: 'shutdown', crashed: 'crashed', suspended: 'suspended' }

async function diagnostics(ctx: Context) {
  return onServer(ctx, `${P}os-server-diagnostics`, async (project, id) => {
    const at = await project.compute.servers.location(id)
    if (at.host_id === null || at.task_state !== null) throw new Fault('conflict', `Cannot 'get_diagnostics' instance ${id} while it is in ${at.task_state === null ? `vm_state ${at.vm_state}` : `task_state ${at.task_state}`}`)
    const seen = await ctx.env.HOST.getByName(at.host_id).command('server.diagnostics', { server_id: id }, {}).catch((error: unknown) => {
      throw isFault(error, 'not_found') ? new Fault('conflict', `Instance ${id} is not running.`) : error
    }) as { state: string; uptime_s: number; memory_mib: number; cpu_time_ns: number; nics: { mac_address: string; rx_octets: number; tx_octets: number }[]; disks: { read_bytes: number; write_bytes: number; read_requests: number; write_requests: number }[] }
    if (!ctx.at(48)) {
      const nics = Object.fromEntries(seen.nics.flatMap((nic, i) => [[`vnet${i}_rx`, nic.rx_octets], [`vnet${i}_tx`, nic.tx_octets]]))
      const disks = Object.fromEntries(seen.disks.flatMap((disk, i) => [[`vd${'abcdefgh'[i]}_read`, disk.read_bytes], [`vd${'abcdefgh'[i]}_read_req`, disk.read_requests], [`vd${'abcdefgh'[i]}_write`, disk.write_bytes], [`vd${'abcdefgh'[i]}_write_req`, disk.write_requests]]))
      return { cpu0_time: seen.cpu_time_ns, memory: seen.memory_mib * 1024, ...nics, ...disks }
    }
    return {
      state: STATES[seen.state] ?? 'pending', driver: 'libvirt', hypervisor: 'qemu', hypervisor_os: 'linux', uptime: seen.uptime_s, config_drive: at.config_drive, num_cpus: at.vcpus, num_nics: seen.nics.length, num_disks: seen.disks.length,
      memory_details: { maximum: at.ram_mib, used: seen.memory_mib }, cpu_details: Array.from({ length: at.vcpus }, (_, cpu) => ({ id: cpu, time: cpu === 0 ? seen.cpu_time_ns : 0, utilisation: null })),
      nic_details: seen.nics.map((nic) => ({ mac_address: nic.mac_address, rx_octets: nic.rx_octets, rx_errors: 0, rx_drop: 0, rx_packets: 0, rx_rate: null, tx_octets: nic.tx_octets, tx_errors: 0, tx_drop: 0, tx_packets: 0, tx_rate: null })),
      disk_details: seen.disks.map((disk) => ({ ...disk, errors_count: null })),
    }
  })
}

const otherRoutes = [
  route({ method: 'GET', path: '/v2.1/servers/:id/ips', policy: `${P}ips:index`, handle: (ctx) => onServer(ctx, `${P}ips:index`, async (project, id) => ({ addresses: addressesOf(await project.compute.servers.get(id), false) })) }),
  route({
    method: 'GET', path: '/v2.1/servers/:id/ips/:network', policy: `${P}ips:show`,
    handle: (ctx) => onServer(ctx, `${P}ips:show`, async (project, id) => {
      const network = decoded(ctx.params.network)
      const list = addressesOf(await project.compute.servers.get(id), false)[network]
      if (list === undefined) throw new Fault('not_found', `Network ${network} could not be found.`)
      return { [network]: list }
    }),
  }),
  route({ method: 'GET', path: '/v2.1/servers/:id/diagnostics', policy: `${P}os-server-diagnostics`, handle: diagnostics }),
  route({ method: 'GET', path: '/v2.1/servers/:id/os-server-password', policy: `${P}os-server-password:show`, handle: (ctx) => onServer(ctx, `${P}os-server-password:show`, async (project, id) => ({ password: await project.compute.servers.password(id) })) }),
  route({
    method: 'DELETE', path: '/v2.1/servers/:id/os-server-password', policy: `${P}os-server-password:clear`,
    handle: (ctx) => onServer(ctx, `${P}os-server-password:clear`, async (project, id) => {
      await project.compute.servers.clearPassword(id)
      return reply({ status: 204 })
    }),
  }),
  route({
    method: 'GET', path: '/v2.1/servers/:id/topology', policy: `${P}server-topology:index`, versions: [78, null],
    handle: (ctx) => onServer(ctx, `${P}server-topology:index`, async (project, id) => {
      await project.compute.servers.location(id)
      return { nodes: [], pagesize_kb: null }
    }),
  }),
]

export const serverDetailRoutes = [...metadataRoutes, ...tagRoutes, ...otherRoutes]
