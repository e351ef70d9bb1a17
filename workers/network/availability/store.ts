/** Used and free addresses of one project's networks, in its object. */
import { RpcTarget } from 'cloudflare:workers'
import { sql } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { addresses, networks, subnets } from '../../../schema/project/network.ts'
import { sizeOf } from '../ipam.ts'
import { poolRanges } from '../plane/addresses.ts'

export interface SubnetAvailability {
  subnet_id: string
  subnet_name: string
  cidr: string
  ip_version: 4 | 6
  total_ips: number
  used_ips: number
}

export interface Availability {
  network_id: string
  network_name: string
  subnets: SubnetAvailability[]
}

export class IpAvailability extends RpcTarget {
  #deps: Deps
  constructor(deps: Deps) {
    super()
    this.#deps = deps
  }

  list(): Availability[] {
    const { db } = this.#deps
    const used = new Map(db.select({ subnet_id: addresses.subnet_id, count: sql<number>`COUNT(*)` }).from(addresses).groupBy(addresses.subnet_id).all().map((row) => [row.subnet_id, row.count]))
    const all = db.select().from(subnets).all()
    return db.select().from(networks).all().map((network) => ({
      network_id: network.id, network_name: network.name,
      subnets: all.filter((subnet) => subnet.network_id === network.id).map((subnet) => ({ subnet_id: subnet.id, subnet_name: subnet.name, cidr: subnet.cidr, ip_version: subnet.ip_version, total_ips: Number(sizeOf(poolRanges(subnet))), used_ips: used.get(subnet.id) ?? 0 })),
    }))
  }
}
