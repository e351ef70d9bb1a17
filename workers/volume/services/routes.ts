/**
 * /os-services, /os-hosts, pools and capabilities: what an operator asks of the hosts with the volume role. The scheduler and the backups are part of the plane and
 * not daemons on hosts; they are listed, because clients look for them, under the name of the region.
 */
import { looseObject, nullish, optional, pipe, string, trim, minLength, maxLength } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import { isoMicrosNoZone } from '../../../schema/values/time.ts'
import type { Context } from '../../http/context.ts'
import { reply } from '../../http/route.ts'
import { truth } from '../page.ts'
import { both, param } from '../route.ts'
import type { PoolView, ServiceState } from '../scheduler/store.ts'

const PLANE = ['cinder-scheduler', 'cinder-backup'] as const
const serviceBody = looseObject({ host: optional(string()), binary: optional(string()), service: optional(string()), disabled_reason: nullish(string()) })
const reasonBody = looseObject({ host: string(), binary: optional(string()), service: optional(string()), disabled_reason: pipe(string(), trim(), minLength(1), maxLength(255)) })

const scheduler = (ctx: Context) => ctx.region.volume.scheduler
const planeHost = (ctx: Context): string => ctx.env.REGION_NAME ?? 'RegionOne'
const hostName = (state: ServiceState): string => `${state.name}@${state.driver}`
/** host, host@backend and host@backend#pool name the same machine. */
const sameHost = (state: ServiceState, name: string): boolean => name === state.name || name === hostName(state) || name.startsWith(`${hostName(state)}#`)

async function find(ctx: Context, name: string): Promise<ServiceState | undefined> {
  return (await scheduler(ctx).services()).find((state) => sameHost(state, name))
}

async function list(ctx: Context) {
  const [binary, host] = [ctx.query.get('binary') ?? ctx.query.get('service'), ctx.query.get('host')]
  const now = isoMicrosNoZone(ctx.now_ms)
  const extra = (backend: boolean) => ({ ...(ctx.at(7) ? { cluster: null } : {}), ...(backend ? { replication_status: 'disabled', active_backend_id: null, frozen: false, ...(ctx.at(49) ? { backend_state: 'up' } : {}) } : {}) })
  const hosts = (await scheduler(ctx).services()).map((state) => ({
    binary: 'cinder-volume', host: hostName(state), zone: state.zone, status: state.disabled ? 'disabled' : 'enabled', state: state.up ? 'up' : 'down', updated_at: isoMicrosNoZone(state.updated_ms), disabled_reason: state.disabled_reason,
    ...extra(true), frozen: state.frozen, ...(ctx.at(49) ? { backend_state: state.up ? 'up' : 'down' } : {}),
  }))
  const plane = PLANE.map((name) => ({ binary: name, host: planeHost(ctx), zone: 'nova', status: 'enabled', state: 'up', updated_at: now, disabled_reason: null, ...extra(false) }))
  const matches = (entry: { binary: string; host: string }) => (binary === null || entry.binary === binary) && (host === null || entry.host === host || entry.host.split('@')[0] === host)
  return { services: [...plane, ...hosts].filter(matches) }
}

async function setService(ctx: Context, disabled: boolean, reason: string | null) {
  const { host, binary, service } = ctx.body
  const name = binary ?? service ?? ''
  const state = host === undefined ? undefined : await find(ctx, host)
  if (host === undefined || name === '') throw new Fault('bad_request', `Missing required element '${host === undefined ? 'host' : 'binary'}' in request body.`)
  const plane = (PLANE as readonly string[]).includes(name) && host === planeHost(ctx)
  if (plane && disabled) throw new Fault('bad_request', `${name} is part of the plane and cannot be disabled.`)
  if (!plane && (state === undefined || name !== 'cinder-volume')) throw new Fault('not_found', `Service ${name} could not be found on host ${host}.`)
  if (state !== undefined) await scheduler(ctx).setService(state.host_id, { disabled, disabled_reason: reason })
  return { host, service: name, binary: name, disabled, status: disabled ? 'disabled' : 'enabled', ...(disabled && reason === null ? {} : { disabled_reason: reason }) }
}

async function freeze(ctx: Context, frozen: boolean) {
  const state = ctx.body.host === undefined ? undefined : await find(ctx, ctx.body.host)
  if (state === undefined) throw new Fault('bad_request', `Invalid input received: Service cinder-volume could not be found on host ${ctx.body.host}.`)
  await scheduler(ctx).setService(state.host_id, { frozen, disabled: frozen, disabled_reason: frozen ? 'frozen' : null })
  return reply({ status: 200 })
}

async function listHosts(ctx: Context) {
  const { services } = await list(ctx)
  const wanted = ctx.query.get('zone')
  return {
    hosts: services.filter((service) => wanted === null || service.zone === wanted).map((service) => ({
      host_name: service.host, service: service.binary, zone: service.zone, 'service-status': service.state === 'up' ? 'available' : 'unavailable', 'service-state': service.status, 'last-update': service.updated_at,
    })),
  }
}

async function showHost(ctx: Context) {
  const name = param(ctx, 'host')
  const state = await find(ctx, name)
  if (state === undefined) throw new Fault('not_found', `Host ${name} could not be found.`)
  const usage = await scheduler(ctx).hostUsage(state.host_id)
  const row = (project: string, volumes: number, gib: number) => ({ resource: { host: hostName(state), project, volume_count: String(volumes), total_volume_gb: String(gib), snapshot_count: '0', total_snapshot_gb: '0' } })
  return { host: [row('(total)', state.volumes, state.provisioned_gib), ...usage.map((entry) => row(entry.project_id, entry.volumes, entry.size_gib))] }
}

const poolView = (pool: PoolView, now_ms: number, detail: boolean) => ({
  name: pool.name,
  ...(detail ? {
    capabilities: {
      timestamp: isoMicrosNoZone(now_ms), updated: null, volume_backend_name: pool.driver, vendor_name: pool.capabilities.vendor_name, driver_version: pool.capabilities.driver_version, storage_protocol: pool.capabilities.storage_protocol,
      total_capacity_gb: pool.total_gib, free_capacity_gb: pool.free_gib, provisioned_capacity_gb: pool.provisioned_gib, allocated_capacity_gb: pool.provisioned_gib, max_over_subscription_ratio: '20.0', thin_provisioning_support: true,
      thick_provisioning_support: false, reserved_percentage: 0, QoS_support: false, multiattach: true, total_volumes: pool.volumes,
    },
  } : {}),
})

async function capabilities(ctx: Context) {
  const name = param(ctx, 'host')
  const pool = (await scheduler(ctx).pools()).find((entry) => entry.name === name || entry.name.startsWith(`${name}#`))
  if (pool === undefined) throw new Fault('not_found', `Host ${name} could not be found.`)
  return {
    namespace: `OS::Storage::Capabilities::${pool.name}`, vendor_name: pool.capabilities.vendor_name, volume_backend_name: pool.driver, pool_name: pool.pool, driver_version: pool.capabilities.driver_version, storage_protocol: pool.capabilities.storage_protocol,
    display_name: null, description: null, visibility: null, replication_targets: [],
    properties: { thin_provisioning: { title: 'Thin Provisioning', description: 'Sets thin provisioning.', type: 'boolean' }, qos: { title: 'QoS', description: 'Enables QoS.', type: 'boolean' } },
  }
}

export const routes = [
  ...both({ method: 'GET', path: '/os-services', policy: 'volume_extension:services:index', handle: list }),
  ...both({ method: 'PUT', path: '/os-services/enable', policy: 'volume_extension:services:update', body: serviceBody, handle: (ctx) => setService(ctx, false, null) }),
  ...both({ method: 'PUT', path: '/os-services/disable', policy: 'volume_extension:services:update', body: serviceBody, handle: (ctx) => setService(ctx, true, null) }),
  ...both({ method: 'PUT', path: '/os-services/disable-log-reason', policy: 'volume_extension:services:update', body: reasonBody, handle: (ctx) => setService(ctx, true, ctx.body.disabled_reason) }),
  ...both({ method: 'PUT', path: '/os-services/freeze', policy: 'volume:freeze_host', body: serviceBody, handle: (ctx) => freeze(ctx, true) }),
  ...both({ method: 'PUT', path: '/os-services/thaw', policy: 'volume:thaw_host', body: serviceBody, handle: (ctx) => freeze(ctx, false) }),
  ...both({ method: 'GET', path: '/os-hosts', policy: 'volume_extension:hosts', handle: listHosts }),
  ...both({ method: 'GET', path: '/os-hosts/:host', policy: 'volume_extension:hosts', handle: showHost }),
  ...both({
    method: 'GET',
    path: '/scheduler-stats/get_pools',
    policy: 'scheduler_extension:scheduler_stats:get_pools',
    handle: async (ctx) => ({ pools: (await scheduler(ctx).pools()).map((pool) => poolView(pool, ctx.now_ms, truth(ctx.query.get('detail') ?? 'false', 'detail'))) }),
  }),
  ...both({ method: 'GET', path: '/capabilities/:host', policy: 'volume_extension:capabilities', handle: capabilities }),
]
