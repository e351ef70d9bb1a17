/** Health for everyone, and for administrators the invariants of DESIGN checked on the running cloud (`skyhook verify`). */
import { Fault } from '../../../schema/values/fault.ts'
import { VERSION } from '../../../schema/values/version.ts'
import type { Context } from '../../http/context.ts'
import type { Route } from '../../http/route.ts'
import { route } from '../../http/route.ts'
import { OBJECTS_DEFAULT, type VerifyReport, verifyCloud } from './verify.ts'

/** `objects`: how many objects have their replicas counted. */
async function verify({ region, env, query, now_ms }: Context): Promise<VerifyReport> {
  const objects = Number(query.get('objects') ?? OBJECTS_DEFAULT)
  if (!Number.isInteger(objects) || objects < 0) throw new Fault('bad_request', "Invalid input for query parameter 'objects': it must be a number of objects.")
  return await verifyCloud(env, await region.directory.projects(), await region.hosts.list(), now_ms, objects)
}

export const routes: Route[] = [
  route({ method: 'GET', path: '/v1/health', policy: 'public', handle: () => ({ status: 'ok', version: VERSION }) }),
  route({ method: 'GET', path: '/v1/verify', policy: 'skyhook:verify', handle: verify }),
]
