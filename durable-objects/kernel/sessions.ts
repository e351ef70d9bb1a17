/** Sessions of the plane itself on other objects, for its own steps. */
import { type Env, REGION_OBJECT_NAME } from './env.ts'
import { type Remote, sessionOn } from './rpc.ts'
import type { ProjectSession } from '../project/session.ts'
import type { RegionSession } from '../region/session.ts'
import { systemCaller } from '../../schema/values/caller.ts'

export async function onRegion<T>(env: Env, requestId: string, work: (region: Remote<RegionSession>) => Promise<T>): Promise<T> {
  return await work(sessionOn<RegionSession>(env.REGION.getByName(REGION_OBJECT_NAME), systemCaller(requestId)))
}

export async function onProject<T>(env: Env, projectId: string, requestId: string, work: (project: Remote<ProjectSession>) => Promise<T>): Promise<T> {
  return await work(sessionOn<ProjectSession>(env.PROJECT.getByName(projectId), systemCaller(requestId)))
}
