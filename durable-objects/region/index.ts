/** Region: what tenants share: hosts and their capacity, flavors, segments, the directory of owners. A shell: stores have the logic. */
import { migrations } from '../../schema/region/migrations.ts'
import type { DoorHost } from '../../schema/agent/door.ts'
import type { HostFacts } from '../../schema/agent/observed.ts'
import { type Caller, type Revocation, systemCaller } from '../../schema/values/caller.ts'
import { computeRegionTasks, seedCompute } from '../../workers/compute/region.ts'
import { networkRegionTasks, seedNetwork } from '../../workers/network/region.ts'
import { seedVolume, volumeRegionTasks } from '../../workers/volume/region.ts'
import { type HostRow, HostsStore } from '../../workers/agents/hosts/store.ts'
import { callOn } from '../kernel/calls.ts'
import type { Env } from '../kernel/env.ts'
import { SkyObject } from '../kernel/object.ts'
import { type Ledger, readLedger } from './ledger.ts'
import { RegionSession } from './session.ts'

export class RegionObject extends SkyObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations, { ...computeRegionTasks, ...networkRegionTasks, ...volumeRegionTasks })
    this.deps.storage.transactionSync(() => {
      seedCompute(this.deps)
      seedNetwork(this.deps)
      seedVolume(this.deps)
    })
  }

  /** A call of a caller's session: refused where the token was revoked. */
  call(caller: Caller, path: string[], args: unknown[]): unknown {
    this.admit(caller)
    return callOn(new RegionSession(this.deps, caller), path, args)
  }

  /** Refuses a revoked caller; Region hears of every revocation. */
  check(caller: Caller): void {
    this.admit(caller)
  }

  /** Which of these are revoked by now, for connections that outlive a request. */
  revoked(callers: Caller[]): boolean[] {
    return callers.map((caller) => this.isRevoked(caller))
  }

  /** The plane's own session, whole: for the simulator's checks, which look inside an object. */
  system(requestId: string): RegionSession {
    return new RegionSession(this.deps, systemCaller(requestId))
  }

  /** A project is used for the first time: from now on it is told of revocations; those before are the answer. */
  enterProject(id: string, tag: string): Revocation[] {
    this.deps.storage.sql.exec('INSERT OR IGNORE INTO projects (id, tag) VALUES (?, ?)', id, tag)
    return this.revocationsFor(id)
  }

  /** Revocations, and which of the projects concerned are in use: only these have to be told. */
  revokeFor(events: Revocation[], projectIds: string[]): string[] {
    this.revoke(events)
    return this.deps.storage.sql.exec('SELECT id FROM projects WHERE id IN (SELECT value FROM json_each(?))', JSON.stringify(projectIds)).toArray().map((row) => String(row.id))
  }

  /** Makes a resource known to others. `audiences` replaces those before; none withdraws it. Idempotent. */
  publish(kind: string, id: string, owner_id: string, audiences: string[], data: unknown): void {
    const { storage, clock } = this.deps
    const wanted = [...new Set(audiences)].sort()
    const text = JSON.stringify(data)
    const known = storage.sql.exec('SELECT audience, owner_id, data FROM published WHERE kind = ? AND id = ? ORDER BY audience', kind, id).toArray()
    // Told again what is known: nothing is written.
    if (known.length === wanted.length && known.every((row, n) => row.audience === wanted[n] && row.owner_id === owner_id && row.data === text)) return
    storage.transactionSync(() => {
      storage.sql.exec('DELETE FROM published WHERE kind = ? AND id = ?', kind, id)
      for (const audience of wanted) storage.sql.exec('INSERT INTO published (kind, id, owner_id, audience, data, updated_ms) VALUES (?, ?, ?, ?, ?, ?)', kind, id, owner_id, audience, text, clock.now_ms())
    })
  }

  /** All that is held here for projects: for `skyhook verify`. */
  ledger(): Ledger {
    return readLedger(this.deps)
  }

  /** A host object says how its host is. */
  hostReport(id: string, up: boolean, facts: HostFacts | null): void {
    new HostsStore(this.deps, systemCaller('host-report')).report(id, up, facts)
  }

  /** One-time join: Fault unauthorized where the token is unknown, used up or expired. Returns the host's id; the same key again is the same host. */
  join(token: string, publicKey: string, hostname: string): HostRow {
    return new HostsStore(this.deps, systemCaller('join')).join(token, publicKey, hostname)
  }

  /** Hosts' keys, and which of them are doors. */
  doors(): DoorHost[] {
    return new HostsStore(this.deps, systemCaller('doors')).doors()
  }

  hostKey(id: string): { public_key: string } | null {
    return new HostsStore(this.deps, systemCaller('host-key')).key(id)
  }
}
