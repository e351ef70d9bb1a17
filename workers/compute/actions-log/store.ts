/** What was done to servers: actions with their events, and the migrations that resizes made. */
import { RpcTarget } from 'cloudflare:workers'
import { and, desc, eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type MigrationRow, type ServerActionRow, serverActions, serverMigrations } from '../../../schema/project/compute.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { anyServer, liveServer, serverMissing } from '../servers/rows.ts'

export interface LoggedAction extends ServerActionRow {
  project_id: string
}

export class ActionsLog extends RpcTarget {
  #deps: Deps
  constructor(deps: Deps) {
    super()
    this.#deps = deps
  }

  /** Newest first. `deleted`: also of servers that are gone (2.21). */
  list(serverId: string, deleted: boolean): LoggedAction[] {
    this.#known(serverId, deleted)
    return this.#deps.db.select().from(serverActions).where(eq(serverActions.server_id, serverId)).orderBy(desc(serverActions.start_ms)).all().map((row) => ({ ...row, project_id: this.#deps.name }))
  }

  get(serverId: string, requestId: string, deleted: boolean): LoggedAction {
    this.#known(serverId, deleted)
    const row = this.#deps.db.select().from(serverActions).where(and(eq(serverActions.server_id, serverId), eq(serverActions.request_id, requestId))).get()
    if (row === undefined) throw new Fault('not_found', `Action for request_id ${requestId} on instance ${serverId} not found`)
    return { ...row, project_id: this.#deps.name }
  }

  migrations(serverId: string | null): (MigrationRow & { project_id: string })[] {
    if (serverId !== null) liveServer(this.#deps.db, serverId)
    const query = this.#deps.db.select().from(serverMigrations)
    const rows = serverId === null ? query.orderBy(desc(serverMigrations.id)).all() : query.where(eq(serverMigrations.server_id, serverId)).orderBy(desc(serverMigrations.id)).all()
    return rows.map((row) => ({ ...row, project_id: this.#deps.name }))
  }

  #known(serverId: string, deleted: boolean): void {
    if (!deleted) return void liveServer(this.#deps.db, serverId)
    if (anyServer(this.#deps.db, serverId) === undefined) throw serverMissing(serverId)
  }
}
