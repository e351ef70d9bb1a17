/** What other services tell Nova of servers. Here they share one transaction, so that an event only has to be answered: it is already known. */
import * as v from 'valibot'
import { isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import { uuid } from '../common/schemas.ts'

const P = 'os_compute_api:os-server-external-events:create'
export const eventPolicies: PolicyRule[] = [{ name: P, check: 'rule:admin or rule:service_role', operations: ['POST /os-server-external-events'] }]

const event = v.strictObject({
  name: v.picklist(['network-changed', 'network-vif-plugged', 'network-vif-unplugged', 'network-vif-deleted', 'volume-extended', 'power-update', 'accelerator-request-bound']), server_uuid: uuid, status: v.optional(v.picklist(['failed', 'completed', 'in-progress'])),
  tag: v.optional(v.pipe(v.string(), v.maxLength(255))),
})

async function known(ctx: Context, id: string): Promise<boolean> {
  for (const owner of await ctx.ownersOf(id)) {
    try {
      await ctx.projectById(owner).compute.servers.location(id)
      return true
    } catch (error) {
      if (!isFault(error, 'not_found')) throw error
    }
  }
  return false
}

export const eventRoutes = [
  route({
    method: 'POST', path: '/v2.1/os-server-external-events', policy: P, body: v.strictObject({ events: v.pipe(v.array(event), v.minLength(1)) }),
    handle: async (ctx) => {
      const events = await Promise.all(ctx.body.events.map(async (one) => ({ status: 'completed', ...one, ...((await known(ctx, one.server_uuid)) ? { code: 200 } : { status: 'failed', code: 404 }) })))
      const found = events.filter((one) => one.code === 200).length
      return reply({ status: found === events.length ? 200 : found === 0 ? 404 : 207, body: { events } })
    },
  }),
]
