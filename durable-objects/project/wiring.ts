/** Composition of a project's services: tasks, folds, peers and quotas. One line per service; the only place that knows them all. */
import type { Kind } from '../../schema/agent/desired.ts'
import { computeFolds, computeQuota, computeTasks, serversPeer } from '../../workers/compute/project.ts'
import { imageQuota, imageTasks } from '../../workers/image/project.ts'
import { networkFolds, networkQuota, networkTasks, portsPeer } from '../../workers/network/project.ts'
import { volumeFolds, volumeQuota, volumeTasks, volumesPeer } from '../../workers/volume/project.ts'
import type { Deps } from '../kernel/deps.ts'
import type { Tasks } from '../kernel/outbox.ts'
import { type Fold, setPeers } from './peers.ts'
import { Quotas } from './quota.ts'

export const projectTasks: Tasks<Deps> = { ...computeTasks, ...networkTasks, ...volumeTasks, ...imageTasks }

export function wire(deps: Deps): void {
  const sql = deps.storage.sql as unknown as ConstructorParameters<typeof Quotas>[0]
  setPeers(deps, {
    quotas: new Quotas(sql, [computeQuota, networkQuota, volumeQuota, imageQuota]),
    ports: portsPeer(deps),
    volumes: volumesPeer(deps),
    servers: serversPeer(deps),
  })
}

export const folds = (deps: Deps): Partial<Record<Kind, Fold>> => ({ ...computeFolds(deps), ...networkFolds(deps), ...volumeFolds(deps) })
