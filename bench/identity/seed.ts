/**
 * Fills the Identity object of a stopped single-machine cloud with users and projects, straight into its database: 100,000 users by the API would be as many password hashes.
 * Each user is a member of one project; all have the password `seeded password`. Idempotent by name.
 *
 *   node bench/identity/seed.ts --home DIR [--users 100000] [--projects 10000]
 */
import { readdirSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { hashPassword } from '../../workers/identity/passwords/hash.ts'
import { DEFAULT_OPTIONS } from '../../workers/identity/kernel/options.ts'

export const SEEDED_PASSWORD = 'seeded password'
const text = { type: 'string' } as const
const { values } = parseArgs({ options: { home: text, users: { ...text, default: '100000' }, projects: { ...text, default: '10000' } } })
if (values.home === undefined) throw new Error('--home names the folder of a stopped cloud ($SKYHOOK_HOME)')

const folder = join(values.home, 'objects', 'IdentityObject')
const file = readdirSync(folder).find((name) => name.endsWith('.sqlite') && !name.startsWith('metadata'))
if (file === undefined) throw new Error(`no Identity object in ${folder}: start the cloud once before`)
const db = new DatabaseSync(join(folder, file))
const id = () => randomBytes(16).toString('hex')
const pad = (n: number) => String(n).padStart(6, '0')
const one = (sql: string): string => {
  const row = db.prepare(sql).get() as { id: string } | undefined
  if (row === undefined) throw new Error(`nothing found: ${sql}`)
  return row.id
}

const started = performance.now()
const role = one("SELECT id FROM roles WHERE name = 'member' AND domain_id = ''")
const hash = await hashPassword(SEEDED_PASSWORD, DEFAULT_OPTIONS.scrypt)
const project = db.prepare("INSERT OR IGNORE INTO projects (id, name, domain_id, parent_id, is_domain, enabled, description, tags, options, extra) VALUES (?, ?, 'default', 'default', 0, 1, '', '[]', '{}', '{}')")
const user = db.prepare("INSERT OR IGNORE INTO users (id, name, domain_id, enabled, options, extra, created_ms) VALUES (?, ?, 'default', 1, '{}', '{}', ?)")
const password = db.prepare('INSERT INTO passwords (user_id, hash, created_ms, self_service) VALUES (?, ?, ?, 0)')
const grant = db.prepare("INSERT OR IGNORE INTO assignments (actor_type, actor_id, target_type, target_id, role_id, inherited) VALUES ('user', ?, 'project', ?, ?, 0)")
db.exec('BEGIN')
for (let n = 0; n < Number(values.projects); n++) project.run(id(), `seeded-project-${pad(n)}`)
const projects = (db.prepare("SELECT id FROM projects WHERE name LIKE 'seeded-project-%' ORDER BY name").all() as { id: string }[]).map((row) => row.id)
let made = 0
for (let n = 0; n < Number(values.users); n++) {
  const own = id()
  if (user.run(own, `seeded-user-${pad(n)}`, Date.now()).changes === 0) continue
  password.run(own, hash, Date.now())
  grant.run(own, projects[n % projects.length] ?? '', role)
  made++
}
db.exec('COMMIT')
db.close()
console.log(`${made} users and ${projects.length} projects in ${Math.round(performance.now() - started)} ms`)
