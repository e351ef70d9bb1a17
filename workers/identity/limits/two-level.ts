/**
 * The enforcement model `strict_two_level`: a domain, and projects directly in it. No project's limit is above its domain's (or, where that has none, the registered
 * default), and no domain's is below one of its projects'. Looked at when all rows of a request are written, so that a domain and its projects can come together.
 * -1 is no limit: above everything. Runs in the Identity object.
 */
import { and, eq, isNull } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { limits, projects, registeredLimits } from '../../../schema/identity/tables.ts'
import { forbidden } from '../kernel/realm.ts'

type LimitRow = typeof limits.$inferSelect

export const MODELS = {
  flat: { name: 'flat', description: 'Limit enforcement and validation does not take project hierarchy into consideration.' },
  strict_two_level: { name: 'strict_two_level', description: 'This model requires project hierarchy never exceeds a depth of two' },
} as const
export type LimitModel = keyof typeof MODELS

/** Projects directly in a domain, and none below them. */
export const TWO_LEVEL_DEPTH = 1

const amount = (limit: number): number => (limit < 0 ? Number.POSITIVE_INFINITY : limit)

export function checkTwoLevel(db: Db, row: LimitRow): void {
  const domainId = row.domain_id ?? db.select().from(projects).where(eq(projects.id, row.project_id ?? '')).get()?.domain_id ?? ''
  const same = (table: typeof limits | typeof registeredLimits) => and(eq(table.service_id, row.service_id), eq(table.resource_name, row.resource_name), row.region_id === null ? isNull(table.region_id) : eq(table.region_id, row.region_id))
  const own = db.select().from(limits).where(and(same(limits), eq(limits.domain_id, domainId))).get()?.resource_limit
  const most = amount(own ?? db.select().from(registeredLimits).where(same(registeredLimits)).get()?.default_limit ?? -1)
  const inside = db.select({ limit: limits.resource_limit }).from(limits).innerJoin(projects, eq(projects.id, limits.project_id)).where(and(same(limits), eq(projects.domain_id, domainId))).all()
  if (!inside.some(({ limit }) => amount(limit) > most)) return
  const what = row.project_id === null ? `domain_id: ${row.domain_id}` : `project_id: ${row.project_id}`
  throw forbidden(`Invalid resource limit: The resource limit (${what}, resource_name: ${row.resource_name}, resource_limit: ${row.resource_limit}, service_id: ${row.service_id}, region_id: ${row.region_id ?? 'None'}) doesn't satisfy current hierarchy model..`)
}
