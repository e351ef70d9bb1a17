/** Rings of the object store, for an administrator: what there is, how well it is, and what should change. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { ObjectRecon, ObjectServiceName } from '../../../schema/agent/replication.ts'
import { route } from '../../http/route.ts'
import { policyAt } from '../../object/policies.ts'
import { deviceUpdate, ringUpdate, runRequest } from '../objects/requests.ts'
import { ringView } from './views.ts'

/** A pass over full disks takes long; what is not done by then goes on by itself. */
export const RUN_DEADLINE_MS = 10 * 60_000
const ALL: ObjectServiceName[] = ['updater', 'replicator', 'reconstructor', 'resealer', 'auditor']

const policyOf = (env: Env, text: string | undefined): string => {
  const found = policyAt(env, Number(text))
  if (found === undefined) throw new Fault('not_found', `There is no storage policy ${text}.`)
  return String(found.index)
}

export const routes = [
  route({
    method: 'GET', path: '/v1/rings/:policy', policy: 'skyhook:rings:get',
    handle: async ({ env, region, params }) => {
      const policy = policyOf(env, params.policy)
      return { ring: ringView(Number(policy), await env.RING.getByName(policy).status(), await region.hosts.list()) }
    },
  }),
  route({
    method: 'PATCH', path: '/v1/rings/:policy', policy: 'skyhook:rings:update', body: ringUpdate,
    handle: async (ctx) => {
      const { env, params, body } = ctx
      await ctx.live()
      const { replicas, min_part_hours, overload } = body
      const change = { ...(replicas === undefined ? {} : { replicas }), ...(min_part_hours === undefined ? {} : { min_part_hours }), ...(overload === undefined ? {} : { overload }) }
      const ring = env.RING.getByName(policyOf(env, params.policy))
      const version = body.components === undefined ? null : await ring.compose(body.components)
      return { version: version !== null && Object.keys(change).length === 0 ? version : await ring.configure(change) }
    },
  }),
  route({
    method: 'POST', path: '/v1/rings/:policy/rebalance', policy: 'skyhook:rings:update',
    handle: async (ctx) => {
      await ctx.live()
      return { version: await ctx.env.RING.getByName(policyOf(ctx.env, ctx.params.policy)).rebalance() }
    },
  }),
  route({
    method: 'PATCH', path: '/v1/rings/:policy/devices/:id', policy: 'skyhook:rings:update', body: deviceUpdate,
    handle: async (ctx) => {
      const { env, params, body } = ctx
      await ctx.live()
      const ring = env.RING.getByName(policyOf(env, params.policy))
      const id = Number(params.id)
      let version = 0
      if (body.removed === false) version = await ring.add(id, body.weight ?? null)
      else if (body.removed === true) version = await ring.remove(id, body.force === true)
      else if (body.region !== undefined) version = await ring.setRegion(id, body.region)
      else if (body.weight !== undefined) version = await ring.setWeight(id, body.weight)
      if (body.drained !== undefined && body.removed === undefined) version = await ring.drain(id, body.drained)
      if (version === 0) throw new Fault('bad_request', 'Nothing to change: weight, region, drained or removed.')
      return { version }
    },
  }),
  route({
    method: 'POST', path: '/v1/object-services/run', policy: 'skyhook:rings:update', body: runRequest,
    handle: async ({ env, region, body, now_ms }) => {
      const hosts = (await region.hosts.list()).filter((host) => host.up && host.facts?.roles.includes('object') === true && (body.host === undefined || host.id === body.host || host.name === body.host))
      if (hosts.length === 0) throw new Fault('not_found', 'No such host with object disks is up.')
      const args = { services: body.services ?? ALL, ...(body.device === undefined ? {} : { device: body.device }) }
      const answers = await Promise.all(hosts.map(async (host): Promise<{ host: string; recon: ObjectRecon | null; error: string | null }> => {
        try {
          return { host: host.name, recon: (await env.HOST.getByName(host.id).command('object.run', args, { deadline_ms: now_ms + RUN_DEADLINE_MS })) as ObjectRecon, error: null }
        } catch (error) {
          return { host: host.name, recon: null, error: String((error as Error)?.message ?? error) }
        }
      }))
      return { hosts: answers }
    },
  }),
]
