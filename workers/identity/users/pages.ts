/**
 * A page of users as one text that SQLite makes itself: a thousand rows cost more to be carried over into JavaScript than to be read. Only where each row's JSON is a matter of
 * its columns; any other page is made of rows (store.ts, views.ts), and says the same. Runs in the Identity object.
 */
import { type SQL, asc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { users } from '../../../schema/identity/tables.ts'
import { type ListQuery, listWhere } from '../kernel/listing.ts'
import type { Page, PageForm } from '../kernel/pages.ts'

/** Rows of one query: a text has a limit of its own, which these lines are far below unless attributes are extraordinary. */
const CHUNK_ROWS = 1_000

const chunkOf = (db: Db, where: SQL | undefined, limit: number) =>
  db.select({
    id: users.id, name: users.name, domain_id: users.domain_id, enabled: users.enabled, default_project_id: users.default_project_id, options: users.options, extra: users.extra, origin: users.origin,
    expires_ms: sql<number | null>`(SELECT p.expires_ms FROM passwords p WHERE p.user_id = ${users.id} ORDER BY p.seq DESC LIMIT 1)`.as('expires_ms'),
  }).from(users).where(where).orderBy(asc(users.id)).limit(limit).as('chunk')

/** A user as views.ts has it: what has a name of ours comes after attributes of the operator's own. */
function lineOf(chunk: ReturnType<typeof chunkOf>, root: string): SQL {
  const of = (text: SQL | string) => (typeof text === 'string' ? sql`${text}` : text)
  const parts = [
    '{', sql`CASE ${chunk.extra} WHEN '{}' THEN '' ELSE substr(${chunk.extra}, 2, length(${chunk.extra}) - 2) || ',' END`, '"id":', sql`json_quote(${chunk.id})`, ',"name":', sql`json_quote(${chunk.name})`, ',"domain_id":', sql`json_quote(${chunk.domain_id})`, ',"enabled":', sql`CASE ${chunk.enabled} WHEN 0 THEN 'false' ELSE 'true' END`,
    sql`CASE WHEN ${chunk.default_project_id} IS NULL THEN '' ELSE ${',"default_project_id":'} || json_quote(${chunk.default_project_id}) END`, ',"options":', sql`${chunk.options}`,
    ',"password_expires_at":', sql`CASE WHEN ${chunk.expires_ms} IS NULL THEN 'null' ELSE strftime('"%Y-%m-%dT%H:%M:%S.', ${chunk.expires_ms} / 1000, 'unixepoch') || substr(1000 + ${chunk.expires_ms} % 1000, 2) || '000"' END`,
    `,"links":{"self":${JSON.stringify(`${root}/users/`).slice(0, -1)}`, sql`${chunk.id}`, '"}}',
  ]
  return sql.join(parts.map(of), sql` || `)
}

function textOf(db: Db, where: SQL | undefined, limit: number, root: string): { count: number; others: number; last: string; text: string } | null {
  const chunk = chunkOf(db, where, limit)
  try {
    const row = db.select({ count: sql<number>`COUNT(*)`, others: sql<number>`COUNT(CASE WHEN ${eq(chunk.origin, 'federated')} THEN 1 END)`, last: sql<string | null>`MAX(${chunk.id})`, text: sql<string | null>`group_concat(${lineOf(chunk, root)}, ',')` }).from(chunk).get()
    return { count: row?.count ?? 0, others: row?.others ?? 0, last: row?.last ?? '', text: row?.text ?? '' }
  } catch (error) {
    if (/too big/i.test(String((error as { cause?: Error }).cause?.message ?? (error as Error).message))) return null
    throw error
  }
}

/** Null where a row is more than its columns (it comes by an identity provider), or the text would be too long for one. */
export function userPage(db: Db, query: ListQuery, conditions: (SQL | undefined)[], { root, size }: PageForm): Page | null {
  const texts: string[] = []
  let [count, marker] = [0, query.marker]
  const where = () => listWhere(users, { ...query, marker }, ...conditions)
  while (count < size) {
    const limit = Math.min(CHUNK_ROWS, size - count)
    const chunk = textOf(db, where(), limit, root)
    if (chunk === null || chunk.others > 0) return null
    if (chunk.count > 0) {
      texts.push(chunk.text)
      marker = chunk.last
      count += chunk.count
    }
    if (chunk.count < limit) break
  }
  const truncated = count === size && (query.limit ?? size + 1) > size && db.select({ id: users.id }).from(users).where(where()).limit(1).get() !== undefined
  return { rows: `[${texts.join(',')}]`, count, last: count === 0 ? null : marker, truncated }
}
