/** What volume brings to a Project object: stores, outbox tasks, folds of host reports, quotas, compute's peer. */
import { RpcTarget } from 'cloudflare:workers'
import { sql } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { QuotaSpec } from '../../durable-objects/project/quota.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { AttachmentsStore } from './attachments/store.ts'
import { BackupsStore } from './backups/store.ts'
import { volumeFolds } from './folds.ts'
import { GroupsStore } from './groups/store.ts'
import { MessagesStore } from './messages/store.ts'
import { volumesPeer } from './peer.ts'
import { VolumeQuotasStore } from './quotas/store.ts'
import { SnapshotsStore } from './snapshots/store.ts'
import { volumeTasks } from './tasks.ts'
import { TransfersStore } from './transfers/store.ts'
import { VolumesStore } from './volumes/store.ts'

/** One getter per resource. */
export class VolumeStores extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get volumes() {
    return new VolumesStore(this.#deps, this.#caller)
  }

  get snapshots() {
    return new SnapshotsStore(this.#deps, this.#caller)
  }

  get attachments() {
    return new AttachmentsStore(this.#deps, this.#caller)
  }

  get backups() {
    return new BackupsStore(this.#deps, this.#caller)
  }

  get transfers() {
    return new TransfersStore(this.#deps, this.#caller)
  }

  get groups() {
    return new GroupsStore(this.#deps, this.#caller)
  }

  get messages() {
    return new MessagesStore(this.#deps, this.#caller)
  }

  get quotas() {
    return new VolumeQuotasStore(this.#deps, this.#caller)
  }
}

export const volumeStores = (deps: Deps, caller: Caller): VolumeStores => new VolumeStores(deps, caller)
export { volumeFolds, volumesPeer, volumeTasks }

interface Sums {
  kind: string
  type: string
  count: number
  gib: number
}

/** Upstream's defaults. Counts per type appear under `<resource>_<type name>` and have no limit unless one is set. */
export const volumeQuota: QuotaSpec = {
  service: 'volume',
  defaults: { volumes: 10, snapshots: 10, gigabytes: 1000, backups: 10, backup_gigabytes: 1000, groups: 10, per_volume_gigabytes: -1 },
  usage: (db) => {
    const rows = db.all(sql`SELECT 'volumes' AS kind, volume_type AS type, COUNT(*) AS count, SUM(MAX(size_gib, COALESCE(pending_size_gib, 0))) AS gib FROM volumes GROUP BY volume_type
      UNION ALL SELECT 'snapshots', volume_type, COUNT(*), SUM(size_gib) FROM volume_snapshots GROUP BY volume_type
      UNION ALL SELECT 'backups', '', COUNT(*), COALESCE(SUM(size_gib), 0) FROM volume_backups UNION ALL SELECT 'groups', '', COUNT(*), 0 FROM volume_groups`) as unknown as Sums[]
    const used: Record<string, number> = { volumes: 0, snapshots: 0, gigabytes: 0, backups: 0, backup_gigabytes: 0, groups: 0, per_volume_gigabytes: 0 }
    const add = (name: string, value: number) => {
      used[name] = (used[name] ?? 0) + value
    }
    for (const { kind, type, count, gib } of rows) {
      add(kind, count)
      if (kind === 'groups') continue
      if (kind === 'backups') {
        add('backup_gigabytes', gib)
        continue
      }
      add(`${kind}_${type}`, count)
      add('gigabytes', gib)
      add(`gigabytes_${type}`, gib)
    }
    return used
  },
}
