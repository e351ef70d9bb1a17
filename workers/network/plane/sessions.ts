/** The network stores of the project that owns a shared network, opened for one piece of work and let go after it. */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import { onProject } from '../../../durable-objects/kernel/sessions.ts'
import type { NetworkStores } from '../project.ts'

export const withOwner = <T>(deps: Deps, projectId: string, requestId: string, work: (network: Remote<NetworkStores>) => Promise<T>): Promise<T> => onProject(deps.env, projectId, requestId, (project) => work(project.network))
