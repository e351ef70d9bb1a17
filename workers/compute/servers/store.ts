/** Servers of one project: reading, making, changing what needs no task, deleting. Runs in the Project object. What begins a task is in lifecycle.ts. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type ServerRow, servers } from '../../../schema/project/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Sort } from '../common/query.ts'
import { slice } from '../common/query.ts'
import { type Created, type NewServers, createServers } from './create.ts'
import { type ServerFilter, filterServers, sortServers } from './listing.ts'
import { type ServerRecord, recordOf } from './record.ts'
import { anyServer, beginTask, converge, finishAction, liveServer, patch, serverMissing, startAction } from './rows.ts'
import { requireAction } from './states.ts'

export interface ListQuery {
  filter: ServerFilter
  sorts: Sort[]
  limit: number
  marker: string | null
}

export const TAGS_MAX = 50
const METADATA_MAX = 128

export class Servers extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  create(spec: NewServers): Created {
    return createServers(this.#deps, this.#caller, spec)
  }

  get(id: string): ServerRecord {
    return recordOf(this.#deps, liveServer(this.#deps.db, id))
  }

  /** Deleted ones too: their history is still asked for. */
  getAny(id: string): ServerRecord {
    const row = anyServer(this.#deps.db, id)
    if (row === undefined) throw serverMissing(id)
    return recordOf(this.#deps, row)
  }

  list(query: ListQuery): { records: ServerRecord[]; next: string | null } {
    const page = this.#page(query)
    return { records: page.rows.map((row) => recordOf(this.#deps, row)), next: page.next }
  }

  listBrief(query: ListQuery): { records: { id: string; name: string }[]; next: string | null } {
    const page = this.#page(query)
    return { records: page.rows.map(({ id, name }) => ({ id, name })), next: page.next }
  }

  /** Names for other services' views and for usage reports. */
  all(): ServerRow[] {
    return this.#deps.db.select().from(servers).orderBy(servers.seq).all()
  }

  update(id: string, change: Partial<Pick<ServerRow, 'name' | 'description' | 'access_ip_v4' | 'access_ip_v6' | 'disk_config' | 'hostname'>>): ServerRecord {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, id)
      const toHost = row.host_id !== null && (change.name !== undefined || change.hostname !== undefined)
      const next = patch(tx, row, { ...change, ...(toHost ? { generation: row.generation + 1 } : {}) })
      if (toHost) converge(tx, id)
      return recordOf(this.#deps, next)
    })
  }

  /** Gone at once where no host has it; else the host is told, and the row goes when it has let go. Again is the same. */
  delete(id: string, options: { force: boolean; locked_override: boolean }): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, id)
      this.#unlocked(row, options.locked_override)
      if (row.task_state === 'deleting') return
      if (row.operation !== null) finishAction(tx, row, row.operation.request_id, { message: 'The server was deleted.' })
      beginTask(this.#deps, tx, this.#caller, { ...row, operation: null }, { action: options.force ? 'forceDelete' : 'delete', task: 'deleting', change: { generation: row.generation + 1 } })
      converge(tx, id)
    })
  }

  lock(id: string, reason: string | null): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, id)
      startAction(tx, this.#caller, row, 'lock', true)
      patch(tx, row, { locked: true, locked_reason: reason })
    })
  }

  unlock(id: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, id)
      startAction(tx, this.#caller, row, 'unlock', true)
      patch(tx, row, { locked: false, locked_reason: null })
    })
  }

  /** `replace`: all of it; else merged. */
  setMetadata(id: string, metadata: Record<string, string>, replace: boolean, locked_override: boolean): Record<string, string> {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, id)
      this.#unlocked(row, locked_override)
      requireAction(row, 'update_instance_metadata')
      const next = replace ? metadata : { ...row.metadata, ...metadata }
      const max = peersOf(this.#deps).quotas.limits('compute').metadata_items ?? METADATA_MAX
      if (max >= 0 && Object.keys(next).length > max) throw new Fault('over_quota', `Maximum number of metadata items exceeds ${max}`)
      patch(tx, row, { metadata: next, generation: row.generation + 1 })
      if (row.host_id !== null) converge(tx, id)
      return next
    })
  }

  deleteMetadata(id: string, key: string, locked_override: boolean): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, id)
      this.#unlocked(row, locked_override)
      if (!(key in row.metadata)) throw new Fault('not_found', 'Metadata item was not found')
      requireAction(row, 'delete_instance_metadata')
      const { [key]: _, ...metadata } = row.metadata
      patch(tx, row, { metadata, generation: row.generation + 1 })
      if (row.host_id !== null) converge(tx, id)
    })
  }

  /** `made`: true where the tag was not there before. */
  setTags(id: string, change: (string[] | { add: string }) | { remove: string }): { tags: string[]; made: boolean } {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, id)
      let tags = row.tags
      if (Array.isArray(change)) tags = [...new Set(change)]
      else if ('add' in change) tags = tags.includes(change.add) ? tags : [...tags, change.add]
      else {
        if (!tags.includes(change.remove)) throw new Fault('not_found', `Server ${id} has no tag '${change.remove}'`)
        tags = tags.filter((tag) => tag !== change.remove)
      }
      if (tags.length > TAGS_MAX) throw new Fault('bad_request', `The number of tags exceeded the per-server limit ${TAGS_MAX}`)
      const made = tags.length > row.tags.length
      const sorted = [...tags].sort()
      patch(tx, row, { tags: sorted })
      return { tags: sorted, made }
    })
  }

  resetState(id: string, state: 'active' | 'error'): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, id)
      startAction(tx, this.#caller, row, 'resetState', true)
      if (row.operation !== null) finishAction(tx, row, row.operation.request_id, { message: 'The state was reset.' })
      patch(tx, row, { vm_state: state, task_state: null, deadline_ms: null, operation: null, progress: state === 'active' ? row.progress : 0 })
    })
  }

  /** Where a command about this server goes. */
  location(id: string): { host_id: string | null; vm_state: string; task_state: string | null; incarnation: number; vcpus: number; ram_mib: number; config_drive: boolean } {
    const row = liveServer(this.#deps.db, id)
    return { host_id: row.host_id, vm_state: row.vm_state, task_state: row.task_state, incarnation: row.incarnation, vcpus: row.vcpus, ram_mib: row.ram_mib, config_drive: row.config_drive }
  }

  password(id: string): string {
    return liveServer(this.#deps.db, id).password
  }

  clearPassword(id: string): void {
    this.#deps.commit(this.#caller, (tx) => void patch(tx, liveServer(tx.db, id), { password: '' }))
  }

  #unlocked(row: ServerRow, override: boolean): void {
    if (row.locked && !override) throw new Fault('conflict', `Instance ${row.id} is locked`)
  }

  #page(query: ListQuery): { rows: ServerRow[]; next: string | null } {
    const { filter } = query
    const base = this.#deps.db.select().from(servers)
    const rows = filter.deleted === null ? base.all() : base.where(eq(servers.deleted, filter.deleted)).all()
    const ports = peersOf(this.#deps).ports
    const addresses = (row: ServerRow) => ports.ofServer(row.id).flatMap((port) => port.fixed_ips.map((ip) => ip.ip_address))
    const sorted = sortServers(filterServers(rows, filter, addresses), query.sorts)
    const page = slice(sorted, query.limit, query.marker, (row) => row.id)
    if (page === null) throw new Fault('bad_request', `marker [${query.marker}] not found`)
    return page
  }
}
