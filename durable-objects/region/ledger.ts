/** All that the region holds for projects, for `skyhook verify`: each row must belong to something that its project has. */
import type { Deps } from '../kernel/deps.ts'

export interface LedgerRow {
  id: string
  project_id: string
  host_id: string | null
}

export interface Ledger {
  allocations: (LedgerRow & { vcpus: number; ram_mib: number; disk_gib: number })[]
  volumes: LedgerRow[]
  segments: (LedgerRow & { segment_id: number })[]
  routers: LedgerRow[]
  published: (LedgerRow & { kind: string })[]
}

export function readLedger(deps: Deps): Ledger {
  const rows = <T>(query: string) => deps.storage.sql.exec(query).toArray() as unknown as T[]
  return {
    allocations: rows('SELECT consumer_id AS id, project_id, host_id, vcpus, ram_mib, disk_gib FROM allocations'),
    volumes: rows('SELECT volume_id AS id, project_id, host_id FROM volume_allocations'),
    segments: rows('SELECT network_id AS id, project_id, NULL AS host_id, segment_id FROM net_segments'),
    routers: rows('SELECT router_id AS id, project_id, host_id FROM net_router_hosts'),
    published: rows('SELECT DISTINCT kind, id, owner_id AS project_id, NULL AS host_id FROM published'),
  }
}
