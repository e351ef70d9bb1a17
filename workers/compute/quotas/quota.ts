/** Quotas of compute in one project: what is there is counted where it is kept. */
import { sql } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import type { QuotaSpec, Quotas } from '../../../durable-objects/project/quota.ts'
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

/** Limits of single users are kept beside the project's, under `user/<id>/<resource>`. */
export const userKey = (userId: string, resource: string): string => `user/${userId}/${resource}`

/** What of the project's limits a user may use: their own limits where there are any. */
export function userLimits(limits: Record<string, number>, userId: string): Record<string, number> {
  return Object.fromEntries(Object.entries(limits).filter(([key]) => !key.startsWith('user/')).map(([key, max]) => [key, limits[userKey(userId, key)] ?? max]))
}

export function userUsage(db: Db, userId: string): Record<string, number> {
  const [used] = db.all<{ instances: number; cores: number; ram: number }>(sql`SELECT count(*) AS instances, coalesce(sum(vcpus), 0) AS cores, coalesce(sum(ram_mib), 0) AS ram FROM servers WHERE deleted = 0 AND user_id = ${userId}`)
  return { instances: used?.instances ?? 0, cores: used?.cores ?? 0, ram: used?.ram ?? 0 }
}

/** The project's room, and the user's where the project gave them a share. */
export function claimServers(quotas: Quotas, db: Db, userId: string, adding: Record<string, number>): void {
  quotas.claim('compute', db, adding, overQuota)
  const limits = quotas.limits('compute')
  const mine = Object.keys(adding).filter((resource) => limits[userKey(userId, resource)] !== undefined)
  if (mine.length === 0) return
  const used = userUsage(db, userId)
  const over = mine.map((resource) => ({ resource, requested: adding[resource] ?? 0, used: used[resource] ?? 0, limit: limits[userKey(userId, resource)] ?? -1 })).filter((one) => one.limit >= 0 && one.requested > 0 && one.used + one.requested > one.limit)
  if (over.length > 0) throw overQuota(over)
}

/** Nova's sentence: every resource that does not fit, then how much was asked and used. */
export function overQuota(over: { resource: string; requested: number; used: number; limit: number }[]): Fault {
  const list = (pick: (item: (typeof over)[number]) => unknown) => over.map((item) => String(pick(item))).join(', ')
  return new Fault('over_quota', `Quota exceeded for ${list((item) => item.resource)}: Requested ${list((item) => item.requested)}, but already used ${list((item) => item.used)} of ${list((item) => item.limit)} ${list((item) => item.resource)}`)
}
