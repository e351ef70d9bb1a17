/** Hosts: joining with a one-time token, and what an administrator sees and sets. */
import { REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import type { Route } from '../../http/route.ts'
import { route } from '../../http/route.ts'
import { hostUpdate, joinRequest, joinTokenRequest } from './requests.ts'
import { hostView } from './views.ts'

export const routes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/join',
    policy: 'public',
    body: joinRequest,
    status: 201,
    handle: async ({ env, body }) => {
      const host = await env.REGION.getByName(REGION_OBJECT_NAME).join(body.token, body.public_key, body.hostname)
      return { host_id: host.id, name: host.name }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/hosts',
    policy: 'skyhook:hosts:list',
    handle: async ({ region }) => ({ hosts: (await region.hosts.list()).map(hostView) }),
  }),
  route({
    method: 'PATCH',
    path: '/v1/hosts/:id',
    policy: 'skyhook:hosts:update',
    body: hostUpdate,
    handle: async ({ region, params, body }) => ({ host: hostView(await region.hosts.set(params.id ?? '', body)) }),
  }),
  route({
    method: 'POST',
    path: '/v1/join-tokens',
    policy: 'skyhook:join_tokens:create',
    body: joinTokenRequest,
    status: 201,
    handle: async ({ region, body }) => {
      const made = await region.hosts.createJoinToken({ uses: body.uses, life_ms: body.life_s === undefined ? undefined : body.life_s * 1_000 })
      return { join_token: { token: made.token, expires_at: new Date(made.expires_ms).toISOString() } }
    },
  }),
]
