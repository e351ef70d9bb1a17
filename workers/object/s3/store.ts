/**
 * What a bucket has that a Swift container has not: its S3 configuration (policy, CORS, lifecycle...), by name, and the segments that nothing refers to any more, which are
 * removed a while later so that readers in the middle of them can end. Runs in the Container object.
 */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { ObjectRow } from '../container/rows.ts'

/** Readers that began before an overwrite or a deletion have this long. */
export const SEGMENTS_KEPT_MS = 3_600_000
export const SEGMENTS_RETRY_MS = 60_000
/** Lifecycle rules are run after each midnight (UTC), and soon again where a run had more to do than it may. */
export const LIFECYCLE_EVERY_MS = 86_400_000
export const LIFECYCLE_AGAIN_MS = 60_000
const GARBAGE_BATCH = 10

export type BucketConfig = Record<string, string>

/** An upload in parts that is neither complete nor aborted. */
export interface Upload {
  key: string
  id: string
  at_ms: number
  /** JSON: what the object will have. */
  spec: string
}

export interface UploadQuery {
  prefix: string
  /** Exclusive; with `id_marker` uploads of the marked key go on after that one. */
  key_marker: string
  id_marker: string
  limit: number
}

/** ETags without quotes; '*' is any object. */
export interface BucketHold {
  if_match: string | null
  if_none_match: string | null
  /** How long the write may take. */
  hold_ms: number
}

/** The ETag that S3's clients see. */
export const etagOfRow = (row: ObjectRow): string => row.extra?.['s3-etag'] ?? row.slo_etag ?? row.etag

export interface BucketHooks {
  /** Removes the segments of an upload, whose name is 'key/uploadId'; false where some are left. */
  sweep(upload: string): Promise<boolean>
  /** Runs the lifecycle rules once; true where there is more to do. */
  lifecycle(rules: string): Promise<boolean>
}

export class BucketStore {
  #deps: Deps
  #hooks: BucketHooks

  constructor(deps: Deps, hooks: BucketHooks) {
    this.#deps = deps
    this.#hooks = hooks
    deps.alarms.handle('s3-garbage', () => this.#sweep())
    deps.alarms.handle('s3-lifecycle', () => this.#lifecycle())
  }

  config(): BucketConfig {
    return Object.fromEntries(this.#rows('SELECT name, value FROM s3_config').map((row) => [String(row.name), String(row.value)]))
  }

  /** Of the object that keeps names of buckets: whose the name is. */
  nameOwner(name: string): string | null {
    const [row] = this.#rows('SELECT value FROM s3_config WHERE name = ?', `name/${name}`)
    return row === undefined ? null : String(row.value)
  }

  /** Gives the name to `account` (null: to nobody), if it is `before`'s still. */
  giveName(name: string, account: string | null, before: string | null): void {
    if (this.nameOwner(name) === before) this.configure({ [`name/${name}`]: account })
  }

  /** null removes. */
  configure(changes: Record<string, string | null>): void {
    this.#deps.storage.transactionSync(() => {
      for (const [name, value] of Object.entries(changes)) {
        if (value === null) this.#rows('DELETE FROM s3_config WHERE name = ?', name)
        else this.#rows('INSERT INTO s3_config (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value', name, value)
      }
    })
    if (changes.lifecycle != null) this.#deps.alarms.at('s3-lifecycle', this.#midnight())
  }

  /** A deleted bucket's settings are not those of the next one of its name. */
  clear(): void {
    this.#deps.storage.transactionSync(() => {
      this.#rows('DELETE FROM s3_config')
      for (const row of this.#rows('SELECT key, id FROM s3_uploads')) this.discard(`${row.key}/${row.id}`)
      this.#rows('DELETE FROM s3_uploads')
    })
  }

  /** Segments of an upload that no object refers to: called in the transaction that took the last reference. */
  discard(upload: string): void {
    const due = this.#deps.clock.now_ms() + SEGMENTS_KEPT_MS
    this.#rows('INSERT INTO s3_garbage (upload, due_ms) VALUES (?, ?) ON CONFLICT (upload) DO NOTHING', upload, due)
    this.#deps.alarms.at('s3-garbage', due)
  }

  /** Holds the name for a conditional write; or why not. */
  hold(name: string, at: string, existing: ObjectRow | null, { if_match, if_none_match, hold_ms }: BucketHold): 'PreconditionFailed' | 'ConditionalRequestConflict' | 'NoSuchKey' | null {
    const now = this.#deps.clock.now_ms()
    if (if_match !== null && existing === null) return 'NoSuchKey'
    if (if_match !== null && existing !== null && if_match !== '*' && etagOfRow(existing) !== if_match) return 'PreconditionFailed'
    if (if_none_match !== null && existing !== null && (if_none_match === '*' || etagOfRow(existing) === if_none_match)) return 'PreconditionFailed'
    // Those that nobody ended: few, for they last a minute or so.
    this.#rows('DELETE FROM s3_writing WHERE until_ms <= ?', now)
    if (this.#rows('SELECT at FROM s3_writing WHERE name = ?', name).length > 0) return 'ConditionalRequestConflict'
    this.#rows('INSERT OR REPLACE INTO s3_writing (name, at, until_ms) VALUES (?, ?, ?)', name, at, now + hold_ms)
    return null
  }

  release(name: string, at: string): void {
    this.#rows('DELETE FROM s3_writing WHERE name = ? AND at = ?', name, at)
  }

  addUpload({ key, id, at_ms, spec }: Upload): void {
    this.#rows('INSERT INTO s3_uploads (key, id, at_ms, spec) VALUES (?, ?, ?, ?) ON CONFLICT (key, id) DO NOTHING', key, id, at_ms, spec)
  }

  upload(key: string, id: string): Upload | null {
    const [row] = this.#rows('SELECT * FROM s3_uploads WHERE key = ? AND id = ?', key, id)
    return row === undefined ? null : toUpload(row)
  }

  uploads({ prefix, key_marker, id_marker, limit }: UploadQuery): Upload[] {
    return this.#rows(`SELECT * FROM s3_uploads WHERE key >= ? AND substr(key, 1, ?) = ? AND (key > ? OR (key = ? AND id > ? AND ? != '')) ORDER BY key, id LIMIT ?`, prefix, [...prefix].length, prefix, key_marker, key_marker, id_marker, id_marker, limit).map(toUpload)
  }

  endUpload(key: string, id: string, discard: boolean): void {
    this.#deps.storage.transactionSync(() => {
      this.#rows('DELETE FROM s3_uploads WHERE key = ? AND id = ?', key, id)
      if (discard) this.discard(`${key}/${id}`)
    })
  }

  async #sweep(): Promise<void> {
    const now = this.#deps.clock.now_ms()
    for (const row of this.#rows('SELECT upload FROM s3_garbage WHERE due_ms <= ? ORDER BY due_ms LIMIT ?', now, GARBAGE_BATCH)) {
      const upload = String(row.upload)
      let done = false
      try {
        done = await this.#hooks.sweep(upload)
      } catch (error) {
        this.#deps.log('s3.sweep_failed', { upload, error: String((error as Error)?.message ?? error) })
      }
      if (done) this.#rows('DELETE FROM s3_garbage WHERE upload = ?', upload)
      else this.#rows('UPDATE s3_garbage SET due_ms = ? WHERE upload = ?', now + SEGMENTS_RETRY_MS, upload)
    }
    const [next] = this.#rows('SELECT MIN(due_ms) AS at FROM s3_garbage')
    if (next?.at != null) this.#deps.alarms.at('s3-garbage', Math.max(Number(next.at), now + 1))
  }

  async #lifecycle(): Promise<void> {
    const rules = this.config().lifecycle
    if (rules === undefined) return
    this.#deps.alarms.at('s3-lifecycle', this.#midnight())
    if (await this.#hooks.lifecycle(rules)) this.#deps.alarms.at('s3-lifecycle', this.#deps.clock.now_ms() + LIFECYCLE_AGAIN_MS)
  }

  #midnight(): number {
    return Math.floor(this.#deps.clock.now_ms() / LIFECYCLE_EVERY_MS + 1) * LIFECYCLE_EVERY_MS
  }

  #rows(query: string, ...bindings: unknown[]): Record<string, unknown>[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Record<string, unknown>[]
  }
}

const toUpload = (row: Record<string, unknown>): Upload => ({ key: String(row.key), id: String(row.id), at_ms: Number(row.at_ms), spec: String(row.spec) })
