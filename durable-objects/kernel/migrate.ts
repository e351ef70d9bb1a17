/**
 * Migrations: an append-only list per object class, checked at each boot against those applied. A list that lost or changed an
 * applied migration refuses to start: data written by a newer build is never touched by an older one.
 */
export interface Migration {
  /** '0001_compute': unique, sorted. */
  name: string
  /** SQL statements separated by ';' at line ends. */
  sql: string
}

interface Sql {
  exec(query: string, ...bindings: unknown[]): { toArray(): Record<string, unknown>[] }
}

const fingerprint = (text: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0
  return `${text.length}-${hash.toString(16)}`
}

export function migrate(sql: Sql, migrations: readonly Migration[]): void {
  sql.exec('CREATE TABLE IF NOT EXISTS _migrations (name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL)')
  const applied = new Map(sql.exec('SELECT name, fingerprint FROM _migrations').toArray().map((row) => [String(row.name), String(row.fingerprint)]))
  const known = new Set(migrations.map((migration) => migration.name))
  for (const name of applied.keys()) if (!known.has(name)) throw new Error(`this data was written by a newer build: migration ${name} is not known here`)
  for (const migration of migrations) {
    const mark = fingerprint(migration.sql)
    const before = applied.get(migration.name)
    if (before === mark) continue
    if (before !== undefined) throw new Error(`migration ${migration.name} was changed after it was applied; append a new one`)
    for (const statement of migration.sql.split(/;\s*(?:\n|$)/)) if (statement.trim() !== '') sql.exec(statement)
    sql.exec('INSERT INTO _migrations (name, fingerprint) VALUES (?, ?)', migration.name, mark)
  }
}
