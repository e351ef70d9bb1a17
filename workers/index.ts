/** The entry of the bundle: every request, and the object classes. Routing by first path segment; nothing else happens here. */
import type { Env } from '../durable-objects/kernel/env.ts'
import { dispatch } from './dispatch.ts'

export { AccountObject } from '../durable-objects/account/index.ts'
export { ContainerObject } from '../durable-objects/container/index.ts'
export { HostObject } from '../durable-objects/host/index.ts'
export { IdentityObject } from '../durable-objects/identity/index.ts'
export { ProjectObject } from '../durable-objects/project/index.ts'
export { RegionObject } from '../durable-objects/region/index.ts'
export { RingObject } from '../durable-objects/ring/index.ts'

export default {
  fetch: (request: Request, env: Env, ctx: { waitUntil(work: Promise<unknown>): void }): Promise<Response> => dispatch(request, env, ctx),
}
