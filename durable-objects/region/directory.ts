/**
 * Who owns what: projects by the tag in their resources' ids, and what owners published to others (shared networks, public images), as a
 * snapshot good enough to list and to use. Audience: '*' is everybody, else a project id.
 */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps } from '../kernel/deps.ts'

export interface Published {
  kind: string
  id: string
  owner_id: string
  data: unknown
}

export class Directory extends RpcTarget {
  #deps: Deps
  constructor(deps: Deps) {
    super()
    this.#deps = deps
  }

  projectsByTag(tag: string): string[] {
    return this.#rows('SELECT id FROM projects WHERE tag = ? ORDER BY id', tag).map((row) => String(row.id))
  }

  /** Every project that ever owned something here: what an admin's listing over all tenants goes through. */
  projects(): string[] {
    return this.#rows('SELECT id FROM projects ORDER BY id').map((row) => String(row.id))
  }

  /** What `audience` may see of a kind, others' things only by publication. */
  published(kind: string, audience: string): Published[] {
    return this.#rows("SELECT kind, id, owner_id, data FROM published WHERE kind = ? AND audience IN ('*', ?) GROUP BY id ORDER BY id", kind, audience).map(parse)
  }

  publishedById(kind: string, id: string, audience: string): Published | null {
    const [row] = this.#rows("SELECT kind, id, owner_id, data FROM published WHERE kind = ? AND id = ? AND audience IN ('*', ?) LIMIT 1", kind, id, audience)
    return row === undefined ? null : parse(row)
  }

  #rows(query: string, ...bindings: unknown[]): Record<string, unknown>[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Record<string, unknown>[]
  }
}

const parse = (row: Record<string, unknown>): Published => ({ kind: String(row.kind), id: String(row.id), owner_id: String(row.owner_id), data: JSON.parse(String(row.data)) })
