/**
 * Quotas of one tenant. Usage is never counted apart from the resources: each service says how to measure what is there, in SQL, inside the same
 * transaction that adds to it, so that "used = sum of resources" cannot drift. Limits are defaults unless the project has its own.
 */
import type { Fault } from '../../schema/values/fault.ts'
import type { Db } from '../kernel/deps.ts'

export type QuotaService = 'compute' | 'network' | 'volume' | 'image'

export interface QuotaSpec {
  service: QuotaService
  /** Resource name -> default limit; -1 is unlimited. */
  defaults: Record<string, number>
  /** Resource name -> what is used now. Runs inside the claiming transaction. */
  usage(db: Db): Record<string, number>
}

interface Sql {
  exec(query: string, ...bindings: unknown[]): { toArray(): Record<string, unknown>[] }
}

export const QUOTA_SQL = 'CREATE TABLE quotas (service TEXT NOT NULL, resource TEXT NOT NULL, max INTEGER NOT NULL, PRIMARY KEY (service, resource))'

export class Quotas {
  #sql: Sql
  #specs: Map<QuotaService, QuotaSpec>

  constructor(sql: Sql, specs: readonly QuotaSpec[]) {
    this.#sql = sql
    this.#specs = new Map(specs.map((spec) => [spec.service, spec]))
  }

  limits(service: QuotaService): Record<string, number> {
    const limits = { ...this.#spec(service).defaults }
    for (const row of this.#sql.exec('SELECT resource, max FROM quotas WHERE service = ?', service).toArray()) limits[String(row.resource)] = Number(row.max)
    return limits
  }

  defaults(service: QuotaService): Record<string, number> {
    return { ...this.#spec(service).defaults }
  }

  usage(service: QuotaService, db: Db): Record<string, number> {
    return this.#spec(service).usage(db)
  }

  set(service: QuotaService, limits: Record<string, number>): void {
    for (const [resource, max] of Object.entries(limits)) {
      this.#sql.exec('INSERT INTO quotas (service, resource, max) VALUES (?, ?, ?) ON CONFLICT (service, resource) DO UPDATE SET max = excluded.max', service, resource, max)
    }
  }

  reset(service: QuotaService): void {
    this.#sql.exec('DELETE FROM quotas WHERE service = ?', service)
  }

  /**
   * Throws over_quota where `adding` does not fit any more. `word` makes the service's own message (clients and Tempest match them).
   */
  claim(service: QuotaService, db: Db, adding: Record<string, number>, word: (over: { resource: string; requested: number; used: number; limit: number }[]) => Fault): void {
    const limits = this.limits(service)
    const used = this.usage(service, db)
    const over = Object.entries(adding)
      .filter(([resource, count]) => count > 0 && (limits[resource] ?? -1) >= 0 && (used[resource] ?? 0) + count > (limits[resource] ?? -1))
      .map(([resource, count]) => ({ resource, requested: count, used: used[resource] ?? 0, limit: limits[resource] ?? -1 }))
    if (over.length > 0) throw word(over)
  }

  #spec(service: QuotaService): QuotaSpec {
    const spec = this.#specs.get(service)
    if (spec === undefined) throw new Error(`no quotas for ${service}`)
    return spec
  }
}
