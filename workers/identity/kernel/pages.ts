/**
 * Pages of lists, rendered where the rows are: one string goes to the Worker instead of a thousand rows. Those that change by writes alone (nothing by the clock)
 * are kept as long as nothing is written: clients ask for the same list again and again. Runs in the Identity object.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { Shelf } from './shelf.ts'

/** Pages kept, and the longest that is. */
export const PAGES_KEPT_MAX = 100
export const PAGE_KEPT_CHARACTERS_MAX = 64 * 1024

export interface PageForm {
  /** What links begin with. */
  root: string
  /** Rows shown at most; one more that was found says that there are others. */
  size: number
}

export interface Page {
  /** JSON array. */
  rows: string
  count: number
  /** Id of the last row. */
  last: string | null
  /** More was found than is shown. */
  truncated: boolean
}

export function pageOf<R extends { id: string }>(found: readonly R[], { size }: PageForm, view: (row: R) => unknown): Page {
  const rows = found.slice(0, size)
  return { rows: JSON.stringify(rows.map(view)), count: rows.length, last: rows.at(-1)?.id ?? null, truncated: found.length > size }
}

export class Pages {
  #kept: Shelf<Page>

  constructor(deps: Pick<Deps, 'writes' | 'clock'>) {
    this.#kept = new Shelf(deps, PAGES_KEPT_MAX)
  }

  /** `what`: all that the page depends on besides the rows. */
  kept(what: unknown, make: () => Page): Page {
    const key = JSON.stringify(what)
    const known = this.#kept.get(key)
    if (known !== undefined) return known
    const page = make()
    if (page.rows.length <= PAGE_KEPT_CHARACTERS_MAX) this.#kept.put(key, page)
    return page
  }
}
