/** Sessions that the plane opens on other objects for its own steps, let go when the step is done: an object keeps one alive until it is told. */
import { type Env, REGION_OBJECT_NAME } from './env.ts'
import type { Remote } from './rpc.ts'
import type { ProjectSession } from '../project/session.ts'
import type { RegionSession } from '../region/session.ts'
import { systemCaller } from '../../schema/values/caller.ts'

/** Ends an RPC session; in simulations there is nothing to end. */
export const letGo = (session: unknown): void => (session as { [Symbol.dispose]?(): void })[Symbol.dispose]?.()

export async function onRegion<T>(env: Env, requestId: string, work: (region: Remote<RegionSession>) => Promise<T>): Promise<T> {
  const session = env.REGION.getByName(REGION_OBJECT_NAME).system(requestId)
  try {
    return await work(session)
  } finally {
    letGo(session)
  }
}

export async function onProject<T>(env: Env, projectId: string, requestId: string, work: (project: Remote<ProjectSession>) => Promise<T>): Promise<T> {
  const session = env.PROJECT.getByName(projectId).open(systemCaller(requestId))
  try {
    return await work(session)
  } finally {
    letGo(session)
  }
}
