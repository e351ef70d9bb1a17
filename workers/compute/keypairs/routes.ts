/** Routes of key pairs. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'
import { nextLink } from '../common/links.ts'
import { limitOf, slice } from '../common/query.ts'
import { decoded } from '../common/texts.ts'
import { generateKey, importKey } from './keys.ts'
import { createKeypair } from './requests.ts'
import { createdKeypair, listedKeypair, shownKeypair } from './views.ts'

/** From 2.10 an admin may name another user. */
function subject(ctx: Context, rule: string, given: string | null | undefined): string {
  const userId = ctx.at(10) && given ? given : ctx.caller.user_id
  ctx.authorize(rule, { ...ctx.ownTarget(), user_id: userId })
  return userId
}

const KEYPAIRS_MAX = 100

export const keypairRoutes = [
  route({
    method: 'GET', path: '/v2.1/os-keypairs', policy: 'token',
    handle: async (ctx) => {
      const keys = await ctx.region.compute.keypairs.list(subject(ctx, 'os_compute_api:os-keypairs:index', ctx.query.get('user_id')))
      const found = ctx.at(35) ? slice(keys, limitOf(ctx.query), ctx.query.get('marker'), (key) => key.name) : { rows: keys, next: null }
      if (found === null) throw new Fault('bad_request', `marker [${ctx.query.get('marker')}] not found`)
      const links = nextLink(ctx.origin, ctx.url, found.next)
      return { keypairs: found.rows.map((key) => listedKeypair(ctx.version[1], key)), ...(links === null ? {} : { keypairs_links: links }) }
    },
  }),
  route({
    method: 'POST', path: '/v2.1/os-keypairs', policy: 'token', body: createKeypair,
    handle: async (ctx) => {
      const given = ctx.body.keypair
      const userId = subject(ctx, 'os_compute_api:os-keypairs:create', given.user_id)
      const type = given.type ?? 'ssh'
      const material = given.public_key === undefined ? await generateKey(type, userId, ctx.now_ms) : importKey(type, given.public_key)
      const key = await ctx.region.compute.keypairs.create({ user_id: userId, name: given.name, type, public_key: material.public_key, fingerprint: material.fingerprint, count_max: KEYPAIRS_MAX })
      return reply({ status: ctx.at(2) ? 201 : 200, body: createdKeypair(ctx.version[1], key, material.private_key) })
    },
  }),
  route({
    method: 'GET', path: '/v2.1/os-keypairs/:name', policy: 'token',
    handle: async (ctx) => shownKeypair(ctx.version[1], await ctx.region.compute.keypairs.get(subject(ctx, 'os_compute_api:os-keypairs:show', ctx.query.get('user_id')), decoded(ctx.params.name))),
  }),
  route({
    method: 'DELETE', path: '/v2.1/os-keypairs/:name', policy: 'token',
    handle: async (ctx) => {
      await ctx.region.compute.keypairs.delete(subject(ctx, 'os_compute_api:os-keypairs:delete', ctx.query.get('user_id')), decoded(ctx.params.name))
      return reply({ status: ctx.at(2) ? 204 : 202 })
    },
  }),
]
