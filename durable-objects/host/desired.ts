/** Desired state of one host: rows with generations (from the owner) and versions (of this host), and what the agent last saw of each. */
import type { DesiredItem, Kind } from '../../schema/agent/desired.ts'
import type { ObservedItem } from '../../schema/agent/observed.ts'
import type { Deps } from '../kernel/deps.ts'

type Row = Record<string, unknown>

export class DesiredTable {
  #deps: Deps
  constructor(deps: Deps) {
    this.#deps = deps
  }

  version(): number {
    return Number(this.#rows('SELECT version FROM link')[0]?.version ?? 0)
  }

  /** Upserts what is newer; returns the changed items and the version range. One transaction. */
  put(items: readonly DesiredItem[]): { from: number; to: number; changed: DesiredItem[] } {
    return this.#deps.storage.transactionSync(() => {
      const from = this.version()
      let to = from
      const changed: DesiredItem[] = []
      for (const item of items) {
        const [known] = this.#rows('SELECT generation FROM desired WHERE kind = ? AND id = ?', item.kind, item.id)
        if (known !== undefined && Number(known.generation) >= item.generation) continue
        to++
        this.#rows(
          'INSERT INTO desired (kind, id, project_id, generation, state, spec, version) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET project_id = excluded.project_id, generation = excluded.generation, state = excluded.state, spec = excluded.spec, version = excluded.version',
          item.kind, item.id, item.project_id, item.generation, item.state, JSON.stringify(item.spec), to)
        changed.push(item)
      }
      if (to !== from) this.#rows('UPDATE link SET version = ?', to)
      return { from, to, changed }
    })
  }

  since(version: number): DesiredItem[] {
    return this.#rows('SELECT * FROM desired WHERE version > ? ORDER BY version', version).map(toItem)
  }

  all(): DesiredItem[] {
    return this.since(-1)
  }

  get(kind: Kind, id: string): DesiredItem | null {
    const [row] = this.#rows('SELECT * FROM desired WHERE kind = ? AND id = ?', kind, id)
    return row === undefined ? null : toItem(row)
  }

  /** True where something this host should have is made from the image. */
  mentions(imageId: string): boolean {
    return this.#rows("SELECT 1 FROM desired WHERE kind IN ('server', 'volume') AND instr(spec, ?) > 0 LIMIT 1", `"${imageId}"`).length > 0
  }

  /** Keeps a report, to be folded into its project. An older generation than one kept before is dropped. */
  observe(items: readonly ObservedItem[]): void {
    this.#deps.storage.transactionSync(() => {
      for (const item of items) {
        const [before] = this.#rows('SELECT generation FROM observed WHERE kind = ? AND id = ?', item.kind, item.id)
        if (before !== undefined && Number(before.generation) > item.generation) continue
        this.#rows('INSERT INTO observed (kind, id, generation, item, folded) VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET generation = excluded.generation, item = excluded.item, folded = excluded.folded',
          item.kind, item.id, item.generation, JSON.stringify(item), item.orphan ? 1 : 0)
      }
    })
  }

  observed(): ObservedItem[] {
    return this.#rows('SELECT item FROM observed').map((row) => JSON.parse(String(row.item)))
  }

  /** Reports that no project has heard of yet, by project. Those nobody asked for are not anyone's. */
  unfolded(): Map<string, ObservedItem[]> {
    const byProject = new Map<string, ObservedItem[]>()
    for (const row of this.#rows('SELECT o.item, d.project_id FROM observed o JOIN desired d ON d.kind = o.kind AND d.id = o.id WHERE o.folded = 0')) {
      const project = String(row.project_id)
      byProject.set(project, [...(byProject.get(project) ?? []), JSON.parse(String(row.item))])
    }
    return byProject
  }

  /** The project has these reports. What is absent by order and gone in fact is forgotten here too. */
  folded(items: readonly ObservedItem[]): void {
    this.#deps.storage.transactionSync(() => {
      for (const item of items) {
        this.#rows('UPDATE observed SET folded = 1 WHERE kind = ? AND id = ? AND item = ?', item.kind, item.id, JSON.stringify(item))
        if (item.status !== 'gone') continue
        const [row] = this.#rows("SELECT generation FROM desired WHERE kind = ? AND id = ? AND state = 'absent'", item.kind, item.id)
        if (row === undefined || Number(row.generation) > item.generation) continue
        this.#rows('DELETE FROM desired WHERE kind = ? AND id = ?', item.kind, item.id)
        this.#rows('DELETE FROM observed WHERE kind = ? AND id = ?', item.kind, item.id)
      }
      this.#rows('DELETE FROM observed WHERE folded = 0 AND NOT EXISTS (SELECT 1 FROM desired d WHERE d.kind = observed.kind AND d.id = observed.id)')
    })
  }

  #rows(query: string, ...bindings: unknown[]): Row[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Row[]
  }
}

const toItem = (row: Row): DesiredItem => ({ kind: row.kind as Kind, id: String(row.id), project_id: String(row.project_id), generation: Number(row.generation), state: row.state as 'present' | 'absent', spec: JSON.parse(String(row.spec)) })
