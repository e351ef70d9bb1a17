/** Server groups of one project: a policy that the scheduler obeys for their members. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type ServerGroupRow, serverGroups, servers } from '../../../schema/project/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { findGroup, membersOf } from './rows.ts'

export interface ServerGroup extends ServerGroupRow {
  project_id: string
  members: string[]
}

export class ServerGroups extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): ServerGroup[] {
    return this.#deps.db.select().from(serverGroups).orderBy(serverGroups.created_ms, serverGroups.id).all().map((row) => this.#full(row))
  }

  get(id: string): ServerGroup {
    const row = findGroup(this.#deps.db, id)
    if (row === undefined) throw new Fault('not_found', `Instance group ${id} could not be found.`)
    return this.#full(row)
  }

  create(given: { name: string; policy: string; rules: { max_server_per_host?: number } }): ServerGroup {
    return this.#deps.commit(this.#caller, (tx) => {
      peersOf(this.#deps).quotas.claim('compute', tx.db, { server_groups: 1 }, () => new Fault('over_quota', 'Quota exceeded, too many server groups.'))
      const row = tx.db.insert(serverGroups).values({ id: this.#deps.newId(), ...given, user_id: this.#caller.user_id, created_ms: tx.now_ms }).returning().get()
      tx.change('server_group', row.id, 'create', null, row)
      return this.#full(row)
    })
  }

  delete(id: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id)
      tx.db.update(servers).set({ group_id: null }).where(eq(servers.group_id, id)).run()
      tx.db.delete(serverGroups).where(eq(serverGroups.id, id)).run()
      tx.change('server_group', id, 'delete', row, null)
    })
  }

  #full(row: ServerGroupRow): ServerGroup {
    return { ...row, project_id: this.#deps.name, members: membersOf(this.#deps.db, row.id).map((member) => member.id) }
  }
}
