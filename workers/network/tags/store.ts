/** Tags of any resource of one project, in its object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { addressScopes, floatingIps, networks, ports, routers, securityGroups, subnetPools, subnets } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped } from '../api/standard.ts'
import { type Kind, notFound } from '../faults.ts'

const TABLES = { network: networks, subnet: subnets, port: ports, router: routers, floatingip: floatingIps, security_group: securityGroups, subnetpool: subnetPools, address_scope: addressScopes } as const satisfies Partial<Record<Kind, unknown>>
export type Tagged = keyof typeof TABLES

export class Tags extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  get(kind: Tagged, id: string): string[] {
    return this.#row(kind, id).tags
  }

  /** Replaces, adds or removes; returns what there is then. */
  change(kind: Tagged, id: string, change: { set?: string[]; add?: string[]; remove?: string[] }): string[] {
    return this.#deps.commit(this.#caller, (tx) => {
      const table = TABLES[kind]
      const row = this.#row(kind, id)
      const tags = [...new Set([...(change.set ?? row.tags), ...(change.add ?? [])])].filter((tag) => !change.remove?.includes(tag)).sort()
      tx.db.update(table).set({ tags, ...bumped(tx, row) }).where(eq(table.id, id)).run()
      tx.change(kind, id, 'update', { tags: row.tags }, { tags })
      return tags
    })
  }

  #row(kind: Tagged, id: string): { tags: string[]; revision_number: number } {
    const table = TABLES[kind]
    const [row] = this.#deps.db.select({ tags: table.tags, revision_number: table.revision_number }).from(table).where(eq(table.id, id)).all()
    if (row === undefined) throw notFound(kind, id)
    return row
  }
}
