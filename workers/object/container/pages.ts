/**
 * A page of a listing as one text that SQLite makes itself: ten thousand rows would cost more to be carried over into JavaScript than to be read. Only for what is a line for
 * each row, and only where each row's line is a matter of its columns; anything else is made of rows (views.ts), and says the same. Runs in the Container object.
 */
import { type ListQuery, type Read, flatRead, whereSql } from '../list.ts'
import type { Rows } from './rows.ts'

export type PageFormat = 'plain' | 'json'

/** Lines with what is between them, how many, and the key of the last. */
export interface Page {
  text: string
  count: number
  last: string
}

/** Rows of one query: a text has a limit of its own, and these lines are far below it unless names and types are extraordinary. */
const CHUNK_ROWS = 1_000

/** '2014-01-02T03:04:05.678900' of '1388631845.67890', as listingTime has it. */
const TIME = "replace(datetime(CAST(substr(modified_at, 1, 10) AS INTEGER), 'unixepoch'), ' ', 'T'), substr(modified_at, 11, 6), '0'"
const SLO = "CASE WHEN slo_etag IS NOT NULL THEN ',\"slo_etag\":' || json_quote('\"' || slo_etag || '\"') END"
const LINES: Record<PageFormat, { line: string; more: string; between: string }> = {
  plain: { line: 'name', more: '0', between: '\n' },
  json: {
    line: `concat('{"name":', json_quote(name), ',"hash":', json_quote(etag), ',"bytes":', COALESCE(slo_size, size), ',"content_type":', json_quote(content_type), ',"last_modified":"', ${TIME}, '"', ${SLO}, '}')`,
    more: 'COUNT(extra)', between: ',',
  },
}

export class RowPages {
  #rows: Rows
  constructor(rows: Rows) {
    this.#rows = rows
  }

  /** The body of a listing, where it can be made here. */
  body(query: ListQuery, format: string): string | null {
    const flat = pageRead(query, format)
    const page = flat === null ? null : this.read(flat.read, flat.format)
    return flat === null || page === null ? null : pageBody(page, flat.format)
  }

  /** Null where a row is more than its columns (a symlink), or the text would be too long for one. */
  read(read: Read, format: PageFormat): Page | null {
    const { between } = LINES[format]
    const texts: string[] = []
    let [count, last] = [0, '']
    while (count < read.limit) {
      const where = last === '' ? read.where : [...read.where, { op: read.order === 'ASC' ? ('>' as const) : ('<' as const), text: last }]
      const limit = Math.min(CHUNK_ROWS, read.limit - count)
      const chunk = this.#chunk({ ...read, where, limit }, format)
      if (chunk === null) return null
      if (chunk.count > 0) {
        texts.push(chunk.text)
        count += chunk.count
        last = chunk.last
      }
      if (chunk.count < limit) break
    }
    return { text: texts.join(between), count, last }
  }

  #chunk({ where, order, limit }: Read, format: PageFormat): Page | null {
    const { line, more, between } = LINES[format]
    const [clause, values] = whereSql(where)
    try {
      const [row] = this.#rows(
        `SELECT COUNT(*) AS count, ${more} AS more, ${order === 'ASC' ? 'MAX' : 'MIN'}(name) AS last, group_concat(${line}, ?) AS text FROM (SELECT * FROM objects${clause} ORDER BY name ${order} LIMIT ?)`,
        between, ...values, limit)
      if (row === undefined || Number(row.more) > 0) return null
      return { text: String(row.text ?? ''), count: Number(row.count), last: String(row.last ?? '') }
    } catch (error) {
      if (/too big/i.test(String((error as Error).message))) return null
      throw error
    }
  }
}

/** The same over the parts of a large container, one after another; null where one of them can't. */
export function joinPages(pages: readonly Page[], format: PageFormat): Page {
  const some = pages.filter((page) => page.count > 0)
  return { text: some.map((page) => page.text).join(LINES[format].between), count: some.reduce((sum, page) => sum + page.count, 0), last: some.at(-1)?.last ?? '' }
}

/** What a query reads where its answer is a line for each row; null where it is not. */
export const pageRead = (query: ListQuery, format: string): { read: Read; format: PageFormat } | null => {
  if (format !== 'plain' && format !== 'json') return null
  const read = flatRead(query)
  return read === null ? null : { read, format }
}

/** The body of a listing. */
export const pageBody = ({ text, count }: Page, format: PageFormat): string => (format === 'json' ? `[${text}]` : count === 0 ? '' : `${text}\n`)
