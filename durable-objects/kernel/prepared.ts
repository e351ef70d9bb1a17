/** Statements of hot paths, built by drizzle once for a database and not at each use: building one costs several times what running it does. */
import type { Db } from './deps.ts'

/** `build` ends in `.prepare()`; what changes from call to call is a `sql.placeholder`. */
export function prepared<Q extends object>(build: (db: Db) => Q): (db: Db) => Q {
  const built = new WeakMap<Db, Q>()
  return (db) => {
    let query = built.get(db)
    if (query === undefined) {
      query = build(db)
      built.set(db, query)
    }
    return query
  }
}
