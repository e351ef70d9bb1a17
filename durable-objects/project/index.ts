/** Project: all that one tenant owns in Nova, Cinder, Neutron and Glance, in one database: one request, one transaction. A shell: stores have the logic. */
import type { ObservedItem } from '../../schema/agent/observed.ts'
import { migrations } from '../../schema/project/migrations.ts'
import { type Caller, SYSTEM_USER, systemCaller } from '../../schema/values/caller.ts'
import { projectTag } from '../../schema/values/ids.ts'
import { callOn } from '../kernel/calls.ts'
import { REGION_OBJECT_NAME, type Env } from '../kernel/env.ts'
import { type ChangeRow, readChanges } from '../kernel/deps.ts'
import { SkyObject } from '../kernel/object.ts'
import { folds, projectTasks, wire } from './wiring.ts'
import { ProjectSession } from './session.ts'
import type { Holdings } from './holdings.ts'
import { type Violation, holdingsOf, verifyProject } from './verify.ts'

export class ProjectObject extends SkyObject {
  #registered = false

  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations, projectTasks)
    wire(this.deps)
  }

  /** A call of a caller's session: refused where the token was revoked. The first call of a project's life enters it in the region's directory. */
  async call(caller: Caller, path: string[], args: unknown[]): Promise<unknown> {
    // Revocations reach the projects a user has roles in. An administrator's token comes from elsewhere: Region knows every revocation.
    if (caller.project_id !== this.deps.name && caller.user_id !== SYSTEM_USER) await this.deps.env.REGION.getByName(REGION_OBJECT_NAME).check(caller)
    // Before its first use a project is told of no revocation: it asks for them now.
    await this.#register()
    this.admit(caller)
    return await callOn(new ProjectSession(this.deps, caller), path, args)
  }

  /** Reports of a host about this project's things; answered once they are folded in. */
  observed(hostId: string, items: ObservedItem[]): void {
    this.deps.commit(systemCaller(`host-${hostId}`), (tx) => {
      for (const item of items) folds(this.deps)[item.kind]?.(tx, hostId, item)
    })
  }

  changes(after_seq: number, limit: number): ChangeRow[] {
    return readChanges(this.deps, after_seq, limit)
  }

  verify(): Violation[] {
    return verifyProject(this.deps)
  }

  /** What others should hold for this project: compared with what they do hold by `skyhook verify`. */
  holdings(): Holdings {
    return holdingsOf(this.deps)
  }

  async #register(): Promise<void> {
    if (this.#registered) return
    const { sql } = this.deps.storage
    sql.exec('CREATE TABLE IF NOT EXISTS _registered (yes INTEGER PRIMARY KEY)')
    if (sql.exec('SELECT yes FROM _registered').toArray().length === 0) {
      this.revoke(await this.deps.env.REGION.getByName(REGION_OBJECT_NAME).enterProject(this.deps.name, projectTag(this.deps.name)))
      sql.exec('INSERT OR IGNORE INTO _registered (yes) VALUES (1)')
    }
    this.#registered = true
  }
}
