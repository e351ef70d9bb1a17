/**
 * Ordered listings with prefix, delimiter, markers and reverse, over any table whose key is `name`. Names under a common prefix are skipped by an index seek, so that
 * a page costs as many reads as it has entries, whatever lies between (swift/container/backend.py says what the answer must be).
 */
export interface ListQuery {
  limit: number
  marker: string
  end_marker: string
  prefix: string
  delimiter: string
  reverse: boolean
  /** Swift's old pseudo-directory listing: objects directly under it, no subdirs. */
  path: string | null
}

export type Listed<T> = T | { subdir: string }
export const isSubdir = <T>(entry: Listed<T>): entry is { subdir: string } => typeof entry === 'object' && entry !== null && 'subdir' in entry

export type ReadRows<T> = (where: string, order: 'ASC' | 'DESC', limit: number, values: string[]) => T[]

const READ_MAX = 1_000

/** The least text above every text that begins with `prefix`, in code point order; null where there is none. */
export function successor(prefix: string): string | null {
  const points = [...prefix].map((char) => char.codePointAt(0) ?? 0)
  while (points.length > 0) {
    const last = points.pop() ?? 0
    if (last < 0x10ffff) return String.fromCodePoint(...points, last + 1 >= 0xd800 && last + 1 <= 0xdfff ? 0xe000 : last + 1)
  }
  return null
}

export function listNames<T extends { name: string }>(query: ListQuery, read: ReadRows<T>): Listed<T>[] {
  const inPath = query.path !== null
  const prefix = inPath ? (query.path === '' ? '' : `${(query.path ?? '').replace(/\/+$/, '')}/`) : query.prefix
  const delimiter = inPath ? '/' : query.delimiter
  const entries: Listed<T>[] = []
  /** Where reading goes on: exclusive unless `inclusive`. */
  let cursor: { text: string; inclusive: boolean } | null = query.marker === '' ? null : { text: query.marker, inclusive: false }
  const above = successor(prefix)
  /** Small after a skip (the next row is likely skipped too), doubling while nothing is. */
  let batch = delimiter === '' ? READ_MAX : 16
  while (entries.length < query.limit) {
    const [where, values] = conditions(query, prefix, above, cursor)
    const wanted = Math.min(batch, query.limit - entries.length)
    const rows = read(where, query.reverse ? 'DESC' : 'ASC', wanted, values)
    let skipped = false
    for (const row of rows) {
      cursor = { text: row.name, inclusive: false }
      if (inPath && row.name === prefix) continue
      const at = delimiter === '' ? -1 : row.name.indexOf(delimiter, prefix.length)
      if (at < 0) {
        entries.push(row)
        continue
      }
      const subdir = row.name.slice(0, at + delimiter.length)
      if (inPath) {
        if (row.name === subdir) entries.push(row)
      } else if (subdir !== query.marker) entries.push({ subdir })
      const beyond = successor(subdir)
      if (query.reverse) cursor = { text: subdir, inclusive: false }
      else if (beyond === null) return entries
      else cursor = { text: beyond, inclusive: true }
      skipped = true
      break
    }
    if (!skipped && rows.length < wanted) break
    batch = skipped ? 2 : Math.min(READ_MAX, batch * 2)
  }
  return entries
}

function conditions(query: ListQuery, prefix: string, above: string | null, cursor: { text: string; inclusive: boolean } | null): [string, string[]] {
  const parts: string[] = []
  const values: string[] = []
  const add = (sql: string, value: string) => {
    parts.push(sql)
    values.push(value)
  }
  if (prefix !== '') {
    add('name >= ?', prefix)
    if (above !== null) add('name < ?', above)
  }
  if (query.reverse) {
    if (cursor !== null) add('name < ?', cursor.text)
    if (query.end_marker !== '') add('name > ?', query.end_marker)
  } else {
    if (cursor !== null) add(cursor.inclusive ? 'name >= ?' : 'name > ?', cursor.text)
    if (query.end_marker !== '') add('name < ?', query.end_marker)
  }
  return [parts.length === 0 ? '' : ` WHERE ${parts.join(' AND ')}`, values]
}
