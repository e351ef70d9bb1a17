/**
 * The history of a versioned container: `objects` holds what is current, `versions` all else, delete markers among it. Swift and S3 use the same rows; where they differ (what
 * becomes of a name when its newest version goes) the caller says which it wants. Runs in the Container object, in the store's transactions.
 */
import { type Condition, type ListQuery, type Listed, type Read, compareNames, isSubdir, listNames, meets, whereSql } from '../list.ts'
import { OBJECT_COLUMNS, type ObjectRow, type Row, type Rows, type VersionRow, objectValues, toObject, versionKey, versionOf } from './rows.ts'

export interface VersionQuery extends ListQuery {
  /** With `marker`: begin after this version of it; '' is after all of them. */
  version_marker: string
}

/** A version by its key; `shown` is its name. */
export type Keyed = VersionRow & { shown: string }

/** What a change did to the container's counts. */
export interface Counted {
  objects: number
  bytes: number
}

export class VersionRows {
  #rows: Rows
  constructor(rows: Rows) {
    this.#rows = rows
  }

  any(): boolean {
    return this.#rows('SELECT key FROM versions LIMIT 1').length > 0
  }

  current(name: string): ObjectRow | null {
    const [row] = this.#rows('SELECT * FROM objects WHERE name = ?', name)
    return row === undefined ? null : toObject(row)
  }

  /** Newest of what is not current. */
  newest(name: string): VersionRow | null {
    const [row] = this.#rows('SELECT * FROM versions WHERE key > ? AND key < ? ORDER BY key LIMIT 1', `${name}\0`, `${name}\x01`)
    return row === undefined ? null : this.#toVersion(row)
  }

  find(name: string, id: string): VersionRow | null {
    const version = versionOf(id)
    const current = this.current(name)
    if (current !== null && current.version === version) return { ...current, deleted: false, is_latest: true }
    const [row] = version === '' ? this.#rows("SELECT * FROM versions WHERE name = ? AND version = ''", name) : this.#rows('SELECT * FROM versions WHERE key = ? AND version = ?', versionKey(name, version), version)
    return row === undefined ? null : this.#toVersion(row)
  }

  #toVersion(row: Row): VersionRow {
    const version = toObject(row)
    const deleted = row.deleted === 1
    // A marker is what the name is now, where nothing is current and nothing newer is there.
    const is_latest = deleted && this.current(version.name) === null && this.#rows('SELECT key FROM versions WHERE key > ? AND key < ? LIMIT 1', `${version.name}\0`, row.key).length === 0
    return { ...version, deleted, is_latest }
  }

  /** Enters a version: as the current one, unless something newer is. Again is as once. */
  put(row: ObjectRow): Counted {
    const counted = this.drop(row.name, row.version)
    const before = this.current(row.name)
    const marker = this.newest(row.name)
    const isOlder = (before !== null && before.at > row.at) || (marker?.deleted === true && marker.at > row.at)
    if (isOlder) this.keep(row, false)
    else {
      if (before !== null) this.keep(before, false)
      this.#rows(`INSERT OR REPLACE INTO objects (${OBJECT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, ...objectValues(row))
    }
    return { objects: counted.objects + (!isOlder && before === null ? 1 : 0), bytes: counted.bytes + row.size }
  }

  /** A row of `versions`; the row of `objects` it may come from is the caller's. */
  keep(row: ObjectRow, deleted: boolean): void {
    this.#rows(`INSERT OR REPLACE INTO versions (key, deleted, ${OBJECT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, versionKey(row.name, row.at), deleted ? 1 : 0, ...objectValues(row))
  }

  /** Enters a delete marker, version '' being the null one (which replaces the null version). */
  mark(name: string, at: string, version: string): Counted {
    const counted = this.drop(name, version)
    const before = this.current(name)
    this.keep({ name, version, at, modified_at: at, size: 0, etag: '', content_type: '', delete_at: null, slo_etag: null, slo_size: null, extra: null }, true)
    return before === null || before.at > at ? counted : { objects: counted.objects + this.unlink(name).objects, bytes: counted.bytes }
  }

  /** Nothing is current any more; what was stays as a version. */
  unlink(name: string): Counted {
    const before = this.current(name)
    if (before === null) return { objects: 0, bytes: 0 }
    this.keep(before, false)
    this.#rows('DELETE FROM objects WHERE name = ?', name)
    return { objects: -1, bytes: 0 }
  }

  /** Makes a version the current one. False where there is no such version, or it is a marker. */
  restore(name: string, id: string): Counted | null {
    const found = this.find(name, id)
    if (found === null || found.deleted) return null
    const before = this.current(name)
    if (before !== null && before.version === found.version) return { objects: 0, bytes: 0 }
    if (before !== null) this.keep(before, false)
    this.#rows('DELETE FROM versions WHERE key = ?', versionKey(name, found.at))
    this.#rows(`INSERT OR REPLACE INTO objects (${OBJECT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, ...objectValues(found))
    return { objects: before === null ? 1 : 0, bytes: 0 }
  }

  /** Forgets one version, current or not. */
  drop(name: string, version: string): Counted {
    const found = this.find(name, version === '' ? 'null' : version)
    if (found === null) return { objects: 0, bytes: 0 }
    const current = this.current(name)?.version === version
    if (current) this.#rows('DELETE FROM objects WHERE name = ?', name)
    else this.#rows('DELETE FROM versions WHERE key = ?', versionKey(name, found.at))
    return { objects: current ? -1 : 0, bytes: -found.size }
  }

  expired(now_s: number, limit: number): VersionRow[] {
    return this.#rows('SELECT * FROM versions WHERE delete_at <= ? ORDER BY delete_at LIMIT ?', now_s, limit).map((row) => this.#toVersion(row))
  }

  nextExpiry(): number | null {
    const [row] = this.#rows('SELECT MIN(delete_at) AS at FROM versions WHERE delete_at IS NOT NULL')
    return row?.at == null ? null : Number(row.at)
  }

  /** All versions by name, the newest first. */
  list(query: VersionQuery): Listed<VersionRow>[] {
    const found = query.version_marker === '' ? null : this.find(query.marker, query.version_marker)
    return plain(listNames<Keyed>(keyedQuery(query, found), (read) => this.read(read), shownName))
  }

  /** Both tables in one order: what is current is looked for by the names of the bounds, then held against the whole keys. */
  read({ where, order, limit }: Read): Keyed[] {
    const [older, olderValues] = whereSql(where)
    const history = this.#rows(`SELECT * FROM versions${older.replace(/\bname\b/g, 'key')} ORDER BY key ${order} LIMIT ?`, ...olderValues, limit).map((row): Keyed => ({ ...this.#toVersion(row), shown: String(row.name), name: String(row.key) }))
    const loose = where.map(({ op, text }): Condition => ({ op: op === '>' ? '>=' : op === '<' && text.includes('\0') ? '<=' : op, text: text.split('\0', 1)[0] ?? '' }))
    const [clause, values] = whereSql(loose)
    // A loose bound lets one row too many in on either side.
    const current = this.#rows(`SELECT * FROM objects${clause} ORDER BY name ${order} LIMIT ?`, ...values, limit + 2).map((row): Keyed => {
      const object = toObject(row)
      return { ...object, deleted: false, is_latest: true, shown: object.name, name: versionKey(object.name, object.at) }
    }).filter((row) => meets(row.name, where))
    const sign = order === 'ASC' ? 1 : -1
    return [...history, ...current].sort((a, b) => sign * compareNames(a.name, b.name)).slice(0, limit)
  }
}

const shownName = (row: Keyed): string => row.shown

function plain(entries: Listed<Keyed>[]): Listed<VersionRow>[] {
  return entries.map((entry) => {
    if (isSubdir(entry)) return entry
    const { shown, ...row } = entry
    return { ...row, name: shown }
  })
}

/** The query in terms of keys instead of names. `found`: the version of the marker. */
function keyedQuery(query: VersionQuery, found: VersionRow | null): ListQuery {
  const last = '\0~'
  const marker = query.marker === '' ? '' : found !== null ? versionKey(query.marker, found.at) : query.version_marker !== '' && query.version_marker !== 'null' ? versionKey(query.marker, query.version_marker)
    : `${query.marker}${query.reverse || query.version_marker !== '' ? '\0' : last}`
  return { ...query, marker, end_marker: query.end_marker !== '' && query.reverse ? `${query.end_marker}${last}` : query.end_marker, path: null }
}

/** The same over rows that come from several objects. */
export async function listKeyed(query: VersionQuery, found: VersionRow | null, list: (query: ListQuery, shown: (row: Keyed) => string) => Promise<Listed<Keyed>[]>): Promise<Listed<VersionRow>[]> {
  return plain(await list(keyedQuery(query, found), shownName))
}
