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

/** A bound of what is read, on the key. */
export interface Condition {
  op: '>' | '>=' | '<' | '<='
  text: string
}

/** The next rows that a listing needs, in the order of their keys. */
export interface Read {
  where: Condition[]
  order: 'ASC' | 'DESC'
  limit: number
}
export type ReadRows<T> = (read: Read) => T[]

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

/** SQLite's order of text: by code point, not by the 16-bit units of which JavaScript's strings are made. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)]
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}
/** Halves of a character beyond the first plane come after all others. */
const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit)

export const meets = (key: string, where: readonly Condition[]): boolean =>
  where.every(({ op, text }) => {
    const order = compareNames(key, text)
    return op === '>' ? order > 0 : op === '>=' ? order >= 0 : op === '<' ? order < 0 : order <= 0
  })

/** ' WHERE name >= ? AND ...' and its values. */
export const whereSql = (where: readonly Condition[], ...more: string[]): [string, string[]] => {
  const parts = [...where.map(({ op }) => `name ${op} ?`), ...more]
  return [parts.length === 0 ? '' : ` WHERE ${parts.join(' AND ')}`, where.map(({ text }) => text)]
}

/** `shown`: the part of a row's key that delimiters are looked for in. */
export function listNames<T extends { name: string }>(query: ListQuery, read: ReadRows<T>, shown: (row: T) => string = (row) => row.name): Listed<T>[] {
  const steps = listSteps<T>(query, shown)
  for (let step = steps.next(); ; ) {
    if (step.done === true) return step.value
    step = steps.next(read(step.value))
  }
}

/** The same over rows that come from elsewhere, where each read costs a call. */
export async function listNamesFrom<T extends { name: string }>(query: ListQuery, read: (read: Read) => Promise<T[]>, shown: (row: T) => string = (row) => row.name): Promise<Listed<T>[]> {
  const steps = listSteps<T>(query, shown, READ_MAX * 10)
  for (let step = steps.next(); ; ) {
    if (step.done === true) return step.value
    step = steps.next(await read(step.value))
  }
}

function* listSteps<T extends { name: string }>(query: ListQuery, shown: (row: T) => string, read_max = READ_MAX): Generator<Read, Listed<T>[], T[]> {
  const inPath = query.path !== null
  const prefix = inPath ? (query.path === '' ? '' : `${(query.path ?? '').replace(/\/+$/, '')}/`) : query.prefix
  const delimiter = inPath ? '/' : query.delimiter
  const entries: Listed<T>[] = []
  /** Where reading goes on: exclusive unless `inclusive`. */
  let cursor: { text: string; inclusive: boolean } | null = query.marker === '' ? null : { text: query.marker, inclusive: false }
  const above = successor(prefix)
  /** The marker without what a key adds to a name (no name holds NUL). */
  const [passed] = query.marker.split('\0', 1)
  /** Small after a skip (the next row is likely skipped too), doubling while nothing is. */
  let batch = delimiter === '' ? read_max : 16
  while (entries.length < query.limit) {
    const wanted = Math.min(batch, query.limit - entries.length)
    const rows = yield { where: conditions(query, prefix, above, cursor), order: query.reverse ? 'DESC' : 'ASC', limit: wanted }
    let skipped = false
    for (const row of rows) {
      cursor = { text: row.name, inclusive: false }
      if (inPath && row.name === prefix) continue
      const at = delimiter === '' ? -1 : shown(row).indexOf(delimiter, prefix.length)
      if (at < 0) {
        entries.push(row)
        continue
      }
      const subdir = shown(row).slice(0, at + delimiter.length)
      if (inPath) {
        if (row.name === subdir) entries.push(row)
      } else if (subdir !== passed) entries.push({ subdir })
      const beyond = successor(subdir)
      if (query.reverse) cursor = { text: subdir, inclusive: false }
      else if (beyond === null) return entries
      else cursor = { text: beyond, inclusive: true }
      skipped = true
      break
    }
    if (!skipped && rows.length < wanted) break
    batch = skipped ? 2 : Math.min(read_max, batch * 2)
  }
  return entries
}

/** The one read that answers a query without prefixes to look for; null for any other. */
export const flatRead = (query: ListQuery): Read | null =>
  query.delimiter !== '' || query.path !== null ? null : { where: conditions(query, query.prefix, successor(query.prefix), query.marker === '' ? null : { text: query.marker, inclusive: false }), order: query.reverse ? 'DESC' : 'ASC', limit: query.limit }

function conditions(query: ListQuery, prefix: string, above: string | null, cursor: { text: string; inclusive: boolean } | null): Condition[] {
  const where: Condition[] = []
  if (prefix !== '') {
    where.push({ op: '>=', text: prefix })
    if (above !== null) where.push({ op: '<', text: above })
  }
  if (query.reverse) {
    if (cursor !== null) where.push({ op: '<', text: cursor.text })
    if (query.end_marker !== '') where.push({ op: '>', text: query.end_marker })
  } else {
    if (cursor !== null) where.push({ op: cursor.inclusive ? '>=' : '>', text: cursor.text })
    if (query.end_marker !== '') where.push({ op: '<', text: query.end_marker })
  }
  return where
}
