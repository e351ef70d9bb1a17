/** Health for everyone, and for administrators the invariants of DESIGN checked on the running cloud (`skyhook verify`). */
import type { Route } from '../../http/route.ts'
import { route } from '../../http/route.ts'
import { verifyCloud } from './verify.ts'

export const VERSION = '0.1.0'

export const routes: Route[] = [
  route({ method: 'GET', path: '/v1/health', policy: 'public', handle: () => ({ status: 'ok', version: VERSION }) }),
  route({ method: 'GET', path: '/v1/verify', policy: 'skyhook:verify', handle: async ({ region, env, requestId, now_ms }) => await verifyCloud(env, await region.directory.projects(), await region.hosts.list(), requestId, now_ms) }),
]
