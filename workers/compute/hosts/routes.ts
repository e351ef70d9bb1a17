/** Routes of services, hypervisors, availability zones and (below 2.43) hosts. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import { isUuid } from '../../../schema/values/ids.ts'
import type { Context } from '../../http/context.ts'
import { route, validate } from '../../http/route.ts'
import { nextLink } from '../common/links.ts'
import { limitOf, slice } from '../common/query.ts'
import { bool, shape, text } from '../common/schemas.ts'
import { TRUE_TEXTS, decoded } from '../common/texts.ts'
import type { ComputeHost } from './store.ts'
import { type ServiceInfo, hostBrief, hostResources, hypervisorBrief, hypervisorView, numberOf, serversOf, serviceView, servicesOf, statisticsView, uptimeText, zonesView } from './views.ts'

const P = 'os_compute_api'
const hostsOf = (ctx: Context): Promise<ComputeHost[]> => ctx.region.compute.hosts.list()
const reason = v.pipe(text(255, 1), v.check((value) => value.trim() === value, 'must not begin or end with a space'))
const host = v.pipe(text(255, 1), v.regex(/^[a-zA-Z0-9-._]*$/, 'must be a host name'))

async function serviceByName(ctx: Context, name: string, binary: string): Promise<ComputeHost> {
  const found = (await hostsOf(ctx)).find((candidate) => candidate.name === name)
  if (found === undefined || binary !== 'nova-compute') throw new Fault('not_found', `Could not find binary ${binary} on host ${name}.`)
  return found
}

async function setService(ctx: Context, id: string, change: { disabled?: boolean; disabled_reason?: string | null; forced_down?: boolean }): Promise<void> {
  await ctx.region.compute.hosts.set(id, change)
}

async function updateByVerb(ctx: Context): Promise<unknown> {
  const verb = ctx.params.id ?? ''
  const schema = shape<{ host: string; binary: string; disabled_reason?: string; forced_down?: boolean }>(
    { host, binary: text(255, 1) }, verb === 'disable-log-reason' && { disabled_reason: reason }, verb === 'force-down' && { forced_down: bool },
  )
  const given = validate(schema, ctx.body)
  const target = await serviceByName(ctx, given.host, given.binary)
  const base = { host: given.host, binary: given.binary }
  if (verb === 'force-down') {
    if (!ctx.at(11)) throw new Fault('not_found', 'The resource could not be found.')
    await setService(ctx, target.id, { forced_down: given.forced_down === true })
    return { service: { ...base, forced_down: given.forced_down === true } }
  }
  const disabled_reason = given.disabled_reason ?? null
  await setService(ctx, target.id, verb === 'enable' ? { disabled: false, disabled_reason: null } : { disabled: true, disabled_reason })
  return { service: { ...base, status: verb === 'enable' ? 'enabled' : 'disabled', ...(verb === 'disable-log-reason' ? { disabled_reason } : {}) } }
}

const updateSchema = v.strictObject({ status: v.optional(v.picklist(['enabled', 'disabled'])), disabled_reason: v.optional(reason), forced_down: v.optional(bool) })

async function updateById(ctx: Context): Promise<unknown> {
  const id = decoded(ctx.params.id)
  const given = validate(updateSchema, ctx.body)
  if (Object.keys(given).length === 0) throw new Fault('bad_request', 'Nothing to update: give status, disabled_reason or forced_down.')
  if (given.disabled_reason !== undefined && given.status !== 'disabled') throw new Fault('bad_request', "Specifying disabled_reason requires that status is 'disabled'.")
  const find = async () => servicesOf(await hostsOf(ctx), ctx.now_ms).find((candidate) => candidate.id === id)
  const service = await find()
  if (service === undefined) throw isUuid(id) ? new Fault('not_found', `Service ${id} could not be found.`) : new Fault('bad_request', `Invalid uuid ${id}`)
  if (service.binary !== 'nova-compute') throw new Fault('bad_request', `Updating a ${service.binary} service is not supported. Only nova-compute services can be updated.`)
  await setService(ctx, id, {
    ...(given.status === undefined ? {} : { disabled: given.status === 'disabled', disabled_reason: given.status === 'disabled' ? (given.disabled_reason ?? null) : null }), ...(given.forced_down === undefined ? {} : { forced_down: given.forced_down }),
  })
  return { service: serviceView(ctx.version[1], (await find()) ?? service) }
}

const VERBS = ['enable', 'disable', 'disable-log-reason', 'force-down']

export const serviceRoutes = [
  route({
    method: 'GET', path: '/v2.1/os-services', policy: `${P}:os-services:list`,
    handle: async (ctx) => {
      const [byHost, byBinary] = [ctx.query.get('host'), ctx.query.get('binary')]
      const wanted = (service: ServiceInfo) => (byHost === null || service.host === byHost) && (byBinary === null || service.binary === byBinary)
      return { services: servicesOf(await hostsOf(ctx), ctx.now_ms).filter(wanted).map((service) => serviceView(ctx.version[1], service)) }
    },
  }),
  route({
    method: 'PUT', path: '/v2.1/os-services/:id', policy: `${P}:os-services:update`, body: 'json',
    handle: async (ctx) => {
      if (ctx.at(53)) return await updateById(ctx)
      if (!VERBS.includes(ctx.params.id ?? '')) throw new Fault('not_found', 'Unknown action')
      return await updateByVerb(ctx)
    },
  }),
  route({
    method: 'DELETE', path: '/v2.1/os-services/:id', policy: `${P}:os-services:delete`,
    handle: async (ctx) => {
      const id = decoded(ctx.params.id)
      if (ctx.at(53) ? !isUuid(id) : !/^\d+$/.test(id)) throw new Fault('bad_request', `Invalid service id ${id}`)
      const found = servicesOf(await hostsOf(ctx), ctx.now_ms).find((service) => service.id === id || numberOf(service.id) === Number(id))
      if (found === undefined) throw new Fault('not_found', `Service ${id} could not be found.`)
      throw new Fault('conflict', 'A host leaves with `skyhook host remove`; its service cannot be deleted by itself.')
    },
  }),
]

const matching = async (ctx: Context): Promise<ComputeHost[]> => {
  const pattern = decoded(ctx.params.id)
  const found = (await hostsOf(ctx)).filter((candidate) => candidate.name.includes(pattern))
  if (found.length === 0) throw new Fault('not_found', `No hypervisor matching '${pattern}' could be found.`)
  return found
}

async function one(ctx: Context): Promise<ComputeHost> {
  const id = decoded(ctx.params.id)
  if (ctx.at(53) && !isUuid(id)) throw new Fault('bad_request', `Invalid uuid ${id}`)
  const found = (await hostsOf(ctx)).find((candidate) => (ctx.at(53) ? candidate.id === id : String(numberOf(candidate.id)) === id))
  if (found === undefined) throw new Fault('not_found', `Compute host ${id} could not be found.`)
  return found
}

const withServers = (ctx: Context) => ctx.at(53) && TRUE_TEXTS.has(ctx.query.get('with_servers')?.toLowerCase() ?? '')

const listHypervisors = (detail: boolean) => async (ctx: Context) => {
  const pattern = ctx.at(53) ? ctx.query.get('hypervisor_hostname_pattern') : null
  const hosts = (await hostsOf(ctx)).filter((candidate) => pattern === null || candidate.name.includes(pattern))
  if (pattern !== null && hosts.length === 0) throw new Fault('not_found', `No hypervisor matching '${pattern}' could be found.`)
  const page = ctx.at(33) ? slice(hosts, limitOf(ctx.query), ctx.query.get('marker'), (row) => (ctx.at(53) ? row.id : String(numberOf(row.id)))) : { rows: hosts, next: null }
  if (page === null) throw new Fault('bad_request', `marker [${ctx.query.get('marker')}] not found`)
  const links = nextLink(ctx.origin, ctx.url, page.next)
  const minor = ctx.version[1]
  const view = (row: ComputeHost) => (detail ? hypervisorView(minor, row, withServers(ctx), ctx.now_ms) : { ...hypervisorBrief(minor, row), ...(withServers(ctx) && (minor >= 75 || row.server_ids.length > 0) ? serversOf(row) : {}) })
  return { hypervisors: page.rows.map(view), ...(links === null ? {} : { hypervisors_links: links }) }
}

export const hypervisorRoutes = [
  route({ method: 'GET', path: '/v2.1/os-hypervisors', policy: `${P}:os-hypervisors:list`, handle: listHypervisors(false) }),
  route({ method: 'GET', path: '/v2.1/os-hypervisors/detail', policy: `${P}:os-hypervisors:list-detail`, handle: listHypervisors(true) }),
  route({ method: 'GET', path: '/v2.1/os-hypervisors/statistics', policy: `${P}:os-hypervisors:statistics`, versions: [1, 87], handle: async (ctx) => statisticsView(await hostsOf(ctx)) }),
  route({ method: 'GET', path: '/v2.1/os-hypervisors/:id', policy: `${P}:os-hypervisors:show`, handle: async (ctx) => ({ hypervisor: hypervisorView(ctx.version[1], await one(ctx), withServers(ctx), ctx.now_ms) }) }),
  route({
    method: 'GET', path: '/v2.1/os-hypervisors/:id/uptime', policy: `${P}:os-hypervisors:uptime`, versions: [1, 87],
    handle: async (ctx) => {
      const found = await one(ctx)
      if (!found.up) throw new Fault('bad_request', 'Compute service is unavailable at this time.')
      return { hypervisor: { ...hypervisorBrief(ctx.version[1], found), uptime: uptimeText(found, ctx.now_ms) } }
    },
  }),
  route({ method: 'GET', path: '/v2.1/os-hypervisors/:id/search', policy: `${P}:os-hypervisors:search`, versions: [1, 52], handle: async (ctx) => ({ hypervisors: (await matching(ctx)).map((row) => hypervisorBrief(ctx.version[1], row)) }) }),
  route({
    method: 'GET', path: '/v2.1/os-hypervisors/:id/servers', policy: `${P}:os-hypervisors:servers`, versions: [1, 52],
    handle: async (ctx) => ({ hypervisors: (await matching(ctx)).map((row) => ({ ...hypervisorBrief(ctx.version[1], row), ...(row.server_ids.length > 0 ? serversOf(row) : {}) })) }),
  }),
]

async function hostNamed(ctx: Context): Promise<ComputeHost> {
  const name = decoded(ctx.params.name)
  const found = (await hostsOf(ctx)).find((candidate) => candidate.name === name)
  if (found === undefined) throw new Fault('not_found', `Compute host ${name} could not be found.`)
  return found
}

const refuses = (what: string) => new Fault('not_implemented', `Virt driver does not implement host ${what}.`)

export const hostRoutes = [
  route({ method: 'GET', path: '/v2.1/os-availability-zone', policy: `${P}:os-availability-zone:list`, handle: async (ctx) => zonesView(await hostsOf(ctx), false, ctx.now_ms) }),
  route({ method: 'GET', path: '/v2.1/os-availability-zone/detail', policy: `${P}:os-availability-zone:detail`, handle: async (ctx) => zonesView(await hostsOf(ctx), true, ctx.now_ms) }),
  route({
    method: 'GET', path: '/v2.1/os-hosts', policy: `${P}:os-hosts:list`, versions: [1, 42],
    handle: async (ctx) => {
      const zone = ctx.query.get('zone')
      return { hosts: servicesOf(await hostsOf(ctx), ctx.now_ms).filter((service) => !zone || service.zone === zone).map(hostBrief) }
    },
  }),
  route({ method: 'GET', path: '/v2.1/os-hosts/:name', policy: `${P}:os-hosts:show`, versions: [1, 42], handle: async (ctx) => hostResources(await hostNamed(ctx)) }),
  route({
    method: 'PUT', path: '/v2.1/os-hosts/:name', policy: `${P}:os-hosts:update`, versions: [1, 42],
    body: v.pipe(v.strictObject({ status: v.optional(v.picklist(['enable', 'disable', 'Enable', 'Disable', 'ENABLE', 'DISABLE'])), maintenance_mode: v.optional(v.picklist(['enable', 'disable'])) }), v.check((given) => Object.keys(given).length > 0, 'must change something')),
    handle: async (ctx) => {
      const target = await hostNamed(ctx)
      if (ctx.body.maintenance_mode !== undefined) throw refuses('maintenance mode')
      const status = ctx.body.status?.toLowerCase() === 'enable' ? 'enabled' : 'disabled'
      await setService(ctx, target.id, { disabled: status === 'disabled', disabled_reason: null })
      return { host: target.name, status }
    },
  }),
  ...(['startup', 'shutdown', 'reboot'] as const).map((verb) =>
    route({
      method: 'GET', path: `/v2.1/os-hosts/:name/${verb}`, policy: `${P}:os-hosts:update`, versions: [1, 42],
      handle: async (ctx) => {
        await hostNamed(ctx)
        throw refuses('power management')
      },
    }),
  ),
]
