/** Sessions on the region and on other projects, for code that runs in an object: opened for one piece of work and let go after it. */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import type { RegionSession } from '../../../durable-objects/region/session.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import type { NetworkStores } from '../project.ts'

/** An object keeps a session alive until it is told that nobody needs it. */
const letGo = (session: unknown): void => (session as { [Symbol.dispose]?(): void })[Symbol.dispose]?.()

export async function withRegion<T>(deps: Deps, requestId: string, work: (region: Remote<RegionSession>) => Promise<T>): Promise<T> {
  const session = deps.env.REGION.getByName(REGION_OBJECT_NAME).system(requestId)
  try {
    return await work(session)
  } finally {
    letGo(session)
  }
}

export async function withOwner<T>(deps: Deps, projectId: string, requestId: string, work: (network: Remote<NetworkStores>) => Promise<T>): Promise<T> {
  const session = deps.env.PROJECT.getByName(projectId).open(systemCaller(requestId))
  try {
    return await work(session.network)
  } finally {
    letGo(session)
  }
}
