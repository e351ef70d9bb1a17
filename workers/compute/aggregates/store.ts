/** Host aggregates: named sets of hosts with metadata, and the availability zones that tenants see. In the Region object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type AggregateRow, aggregates, allocations } from '../../../schema/region/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { HostsStore } from '../../agents/hosts/store.ts'

export type Aggregate = AggregateRow

export class Aggregates extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): Aggregate[] {
    return this.#deps.db.select().from(aggregates).orderBy(aggregates.id).all()
  }

  /** By its number or, from 2.41 on, its UUID. */
  get(id: string): Aggregate {
    const row = /^\d{1,9}$/.test(id) ? this.#deps.db.select().from(aggregates).where(eq(aggregates.id, Number(id))).get() : undefined
    if (row === undefined) throw new Fault('not_found', `Aggregate ${id} could not be found.`)
    return row
  }

  create(name: string, availability_zone: string | null): Aggregate {
    return this.#deps.commit(this.#caller, (tx) => {
      this.#unused(name)
      const metadata: Record<string, string> = availability_zone === null ? {} : { availability_zone }
      const row = tx.db.insert(aggregates).values({ uuid: this.#deps.ids.uuid(), name, availability_zone, metadata, hosts: [], created_ms: tx.now_ms, updated_ms: null }).returning().get()
      tx.change('aggregate', String(row.id), 'create', null, row)
      return row
    })
  }

  update(id: string, change: { name?: string; availability_zone?: string | null }): Aggregate {
    return this.#change(id, (row) => {
      if (change.name !== undefined && change.name !== row.name) this.#unused(change.name)
      const zone = change.availability_zone
      if (zone !== undefined) this.#zoneMayChange(row, zone)
      return { name: change.name ?? row.name, ...(zone === undefined ? {} : zoned(row, zone)) }
    })
  }

  delete(id: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.get(id)
      if (row.hosts.length > 0) throw new Fault('bad_request', `Cannot remove host aggregate ${id}: Host aggregate is not empty`)
      tx.db.delete(aggregates).where(eq(aggregates.id, row.id)).run()
      tx.change('aggregate', id, 'delete', row, null)
    })
  }

  /** null removes a key. */
  setMetadata(id: string, metadata: Record<string, string | null>): Aggregate {
    return this.#change(id, (row) => {
      const { availability_zone } = metadata
      if (availability_zone !== undefined) this.#zoneMayChange(row, availability_zone)
      const merged = Object.fromEntries(Object.entries({ ...row.metadata, ...metadata }).filter((entry): entry is [string, string] => entry[1] !== null))
      return { metadata: merged, availability_zone: merged.availability_zone ?? null }
    })
  }

  addHost(id: string, name: string): Aggregate {
    return this.#change(id, (row) => {
      const host = new HostsStore(this.#deps, this.#caller).list().find((candidate) => candidate.name === name)
      if (host === undefined) throw new Fault('not_found', `Compute host ${name} could not be found.`)
      if (row.hosts.includes(name)) throw new Fault('conflict', `Cannot add host to aggregate ${id}. Reason: Host ${name} already exists in the aggregate.`)
      const zones = this.list().filter((other) => other.id !== row.id && other.hosts.includes(name) && other.availability_zone !== null)
      if (row.availability_zone !== null && zones.some((other) => other.availability_zone !== row.availability_zone)) throw new Fault('conflict', `Cannot add host to aggregate ${id}. Reason: Host ${name} is already in availability zone ${zones[0]?.availability_zone}.`)
      return { hosts: [...row.hosts, name] }
    })
  }

  removeHost(id: string, name: string): Aggregate {
    return this.#change(id, (row) => {
      if (!row.hosts.includes(name)) throw new Fault('not_found', `Cannot remove host ${name} in aggregate ${id}: host not found.`)
      return { hosts: row.hosts.filter((host) => host !== name) }
    })
  }

  #unused(name: string): void {
    if (this.list().some((row) => row.name === name)) throw new Fault('conflict', `Aggregate ${name} already exists.`)
  }

  /** Servers must not find themselves in another zone than they asked for. */
  #zoneMayChange(row: Aggregate, zone: string | null): void {
    if (zone === row.availability_zone) return
    const hosts = new HostsStore(this.#deps, this.#caller).list().filter((host) => row.hosts.includes(host.name))
    const busy = hosts.find((host) => this.#deps.db.select().from(allocations).where(eq(allocations.host_id, host.id)).get() !== undefined)
    if (busy !== undefined) throw new Fault('bad_request', `Cannot update aggregate ${row.id}. Reason: One or more hosts contain instances in this zone.`)
  }

  #change(id: string, work: (row: Aggregate) => Partial<Aggregate>): Aggregate {
    return this.#deps.commit(this.#caller, (tx) => {
      const before = this.get(id)
      const after = { ...before, ...work(before), updated_ms: tx.now_ms }
      tx.db.update(aggregates).set({ name: after.name, availability_zone: after.availability_zone, metadata: after.metadata, hosts: after.hosts, updated_ms: tx.now_ms }).where(eq(aggregates.id, before.id)).run()
      tx.change('aggregate', id, 'update', before, after)
      return after
    })
  }
}

function zoned(row: Aggregate, zone: string | null): Pick<Aggregate, 'availability_zone' | 'metadata'> {
  const { availability_zone: _, ...rest } = row.metadata
  return { availability_zone: zone, metadata: zone === null ? rest : { ...rest, availability_zone: zone } }
}
