/** Quotas of compute in one project: what is there is counted where it is kept. */
import { sql } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import type { QuotaSpec } from '../../../durable-objects/project/quota.ts'
import { Fault } from '../../../schema/values/fault.ts'

export const computeQuota: QuotaSpec = {
  service: 'compute',
  defaults: {
    instances: 10, cores: 20, ram: 51_200, metadata_items: 128, key_pairs: 100, server_groups: 10, server_group_members: 10, injected_files: 5, injected_file_content_bytes: 10_240, injected_file_path_bytes: 255,
    fixed_ips: -1, floating_ips: -1, security_groups: -1, security_group_rules: -1,
  },
  usage: (db: Db) => {
    const [used] = db.all<{ instances: number; cores: number; ram: number }>(sql`SELECT count(*) AS instances, coalesce(sum(vcpus), 0) AS cores, coalesce(sum(ram_mib), 0) AS ram FROM servers WHERE deleted = 0`)
    const [groups] = db.all<{ count: number }>(sql`SELECT count(*) AS count FROM server_groups`)
    return { instances: used?.instances ?? 0, cores: used?.cores ?? 0, ram: used?.ram ?? 0, server_groups: groups?.count ?? 0 }
  },
}

/** Nova's sentence: every resource that does not fit, then how much was asked and used. */
export function overQuota(over: { resource: string; requested: number; used: number; limit: number }[]): Fault {
  const list = (pick: (item: (typeof over)[number]) => unknown) => over.map((item) => String(pick(item))).join(', ')
  return new Fault('over_quota', `Quota exceeded for ${list((item) => item.resource)}: Requested ${list((item) => item.requested)}, but already used ${list((item) => item.used)} of ${list((item) => item.limit)} ${list((item) => item.resource)}`)
}
