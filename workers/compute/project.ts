/** What compute brings to a Project object: stores, outbox tasks, folds of host reports, quotas, and what other services may ask of servers. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import type { Fold, ServersPeer } from '../../durable-objects/project/peers.ts'
import type { Kind } from '../../schema/agent/desired.ts'
import { serverVolumes } from '../../schema/project/compute.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { ActionsLog } from './actions-log/store.ts'
import { Attachments } from './attachments/store.ts'
import { Consoles } from './consoles/store.ts'
import { Interfaces } from './interfaces/store.ts'
import { ComputeQuotas } from './quotas/store.ts'
import { ServerGroups } from './server-groups/store.ts'
import { volumeChanged } from './servers/boot-volumes.ts'
import { watchDeadlines } from './servers/deadlines.ts'
import { foldServer } from './servers/fold.ts'
import { Lifecycle } from './servers/lifecycle.ts'
import { anyServer, converge, patch } from './servers/rows.ts'
import { serverTasks } from './servers/steps.ts'
import { Servers } from './servers/store.ts'

export { computeQuota } from './quotas/quota.ts'

/** One getter per resource. */
export class ComputeStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get servers() {
    return new Servers(this.#deps, this.#caller)
  }

  get lifecycle() {
    return new Lifecycle(this.#deps, this.#caller)
  }

  get attachments() {
    return new Attachments(this.#deps, this.#caller)
  }

  get interfaces() {
    return new Interfaces(this.#deps, this.#caller)
  }

  get groups() {
    return new ServerGroups(this.#deps, this.#caller)
  }

  get quotas() {
    return new ComputeQuotas(this.#deps, this.#caller)
  }

  get actions() {
    return new ActionsLog(this.#deps)
  }

  get consoles() {
    return new Consoles(this.#deps, this.#caller)
  }
}

export const computeStores = (deps: Deps, caller: Caller): ComputeStores => new ComputeStores(deps, caller)
export const computeTasks: Tasks<Deps> = serverTasks
export const computeFolds = (deps: Deps): Partial<Record<Kind, Fold>> => ({ server: (tx, hostId, item) => foldServer(deps, tx, hostId, item) })

export function serversPeer(deps: Deps): ServersPeer {
  watchDeadlines(deps)
  return {
    get: (serverId) => {
      const row = anyServer(deps.db, serverId)
      return row === undefined || row.deleted ? null : { id: row.id, name: row.name, host_id: row.host_id, vm_state: row.vm_state }
    },
    exists: (serverId) => {
      const row = anyServer(deps.db, serverId)
      return row !== undefined && (!row.deleted || row.host_id !== null)
    },
    touched: (tx, serverId) => {
      const row = anyServer(tx.db, serverId)
      if (row === undefined || row.deleted) return
      if (row.host_id === null) return void patch(tx, row, {})
      patch(tx, row, { generation: row.generation + 1 })
      converge(tx, serverId)
    },
    volumeChanged: (tx, volumeId, status) => {
      for (const volume of tx.db.select().from(serverVolumes).where(eq(serverVolumes.volume_id, volumeId)).all()) volumeChanged(deps, tx, volume, status)
    },
  }
}
