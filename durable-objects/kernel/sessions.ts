/** Sessions of the plane itself on other objects, for its own steps, and the end of those that an object keeps alive until it is told. */
import { type Env, REGION_OBJECT_NAME } from './env.ts'
import { type Remote, sessionOn } from './rpc.ts'
import type { ProjectSession } from '../project/session.ts'
import type { RegionSession } from '../region/session.ts'
import { systemCaller } from '../../schema/values/caller.ts'

/** Ends an RPC session; in simulations there is nothing to end. */
export const letGo = (session: unknown): void => (session as { [Symbol.dispose]?(): void })[Symbol.dispose]?.()

export async function onRegion<T>(env: Env, requestId: string, work: (region: Remote<RegionSession>) => Promise<T>): Promise<T> {
  return await work(sessionOn<RegionSession>(env.REGION.getByName(REGION_OBJECT_NAME), systemCaller(requestId)))
}

export async function onProject<T>(env: Env, projectId: string, requestId: string, work: (project: Remote<ProjectSession>) => Promise<T>): Promise<T> {
  return await work(sessionOn<ProjectSession>(env.PROJECT.getByName(projectId), systemCaller(requestId)))
}
