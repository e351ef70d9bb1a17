/**
 * A dump of Keystone's tables (docs/import-keystone.md) as batches of our import API, in the order in which they hang on each other. Pure: columns are read as
 * MariaDB, PostgreSQL and SQLite write them (booleans as 0 and 1, JSON as text).
 */
import type { ImportRequest, ImportResult } from '../../workers/identity/import/requests.ts'
import { Problem } from './problem.ts'

type Row = Record<string, unknown>
type Dump = Record<string, Row[]>

export const TABLES = ['project', 'user', 'local_user', 'password', 'group', 'user_group_membership', 'role', 'implied_role', 'assignment', 'system_assignment']
const OPTIONAL = ['project_tag', 'project_option', 'user_option', 'role_option', 'nonlocal_user', 'federated_user']
const ROOT_DOMAIN = '<<keystone.domain.root>>'
const NO_DOMAIN = '<<null>>'
const ROWS_PER_BATCH = 200
const PASSWORDS_KEPT = 24
const OPTIONS: Record<string, string> = {
  1000: 'ignore_change_password_upon_first_use', 1001: 'ignore_password_expiry', 1002: 'ignore_lockout_failure_attempts', 1003: 'lock_password', 1004: 'ignore_user_inactivity', MFAR: 'multi_factor_auth_rules', MFAE: 'multi_factor_auth_enabled', IMMU: 'immutable',
}

export interface Plan {
  batches: ImportRequest[]
  /** What the dump has and is not brought over. */
  left: string[]
}

export function parseDump(text: string): Dump {
  let dump: unknown
  try {
    dump = JSON.parse(text)
  } catch (error) {
    throw new Problem(`the dump is no JSON: ${(error as Error).message}`)
  }
  if (typeof dump !== 'object' || dump === null || Array.isArray(dump)) throw new Problem('the dump must be an object: table name -> list of rows.')
  const known = dump as Record<string, unknown>
  for (const name of TABLES) if (!(name in known)) throw new Problem(`the dump lacks the table '${name}' (an empty list is fine).`)
  for (const [name, rows] of Object.entries(known)) if (!Array.isArray(rows) || rows.some((row) => typeof row !== 'object' || row === null)) throw new Problem(`'${name}' must be a list of rows.`)
  return known as Dump
}

const bool = (value: unknown): boolean => value === true || value === 1 || value === '1' || value === 't'
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const idOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
const chunks = <T>(rows: T[]): T[][] => Array.from({ length: Math.ceil(rows.length / ROWS_PER_BATCH) }, (_, n) => rows.slice(n * ROWS_PER_BATCH, (n + 1) * ROWS_PER_BATCH))

function json(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

function record(value: unknown): Record<string, unknown> {
  const read = json(value)
  return typeof read === 'object' && read !== null && !Array.isArray(read) ? (read as Record<string, unknown>) : {}
}

/** Integers of microseconds are what newer tables have; older ones have a time in UTC. */
function msOf(micros: unknown, time: unknown): number | null {
  if (typeof micros === 'number' || (typeof micros === 'string' && /^\d+$/.test(micros))) return Math.floor(Number(micros) / 1_000)
  const ms = typeof time === 'string' ? Date.parse(`${time.trim().replace(' ', 'T').replace(/(\.\d{3})\d*/, '$1').replace(/Z$/, '')}Z`) : Number.NaN
  return Number.isNaN(ms) ? null : ms
}

const group = (rows: Row[] | undefined, key: string): Map<string, Row[]> => Map.groupBy(rows ?? [], (row) => String(row[key]))
const optionsOf = (rows: Row[] | undefined): Record<string, unknown> => Object.fromEntries((rows ?? []).flatMap((row) => {
  const name = OPTIONS[String(row.option_id)]
  const value = json(row.option_value)
  return name === undefined || value === undefined || value === null ? [] : [[name, value]]
}))

/** Parents before children, whatever the order in the dump. */
function byDepth(rows: Row[]): Row[] {
  const parents = new Map(rows.map((row) => [String(row.id), idOf(row.parent_id)]))
  const depth = (id: string): number => {
    let [at, steps]: [string | null, number] = [id, 0]
    while (at !== null && parents.has(at) && steps <= rows.length) [at, steps] = [parents.get(at) ?? null, steps + 1]
    return steps
  }
  return rows.map((row) => [depth(String(row.id)), row] as const).sort(([a], [b]) => a - b).map(([, row]) => row)
}

function projectsOf(dump: Dump) {
  const [tags, options] = [group(dump.project_tag, 'project_id'), group(dump.project_option, 'project_id')]
  const shared = (row: Row) => {
    const id = String(row.id)
    return { id, name: textOf(row.name), enabled: bool(row.enabled), description: textOf(row.description), tags: (tags.get(id) ?? []).map((tag) => textOf(tag.name)).sort(), options: optionsOf(options.get(id)), extra: record(row.extra) }
  }
  const all = (dump.project ?? []).filter((row) => row.id !== ROOT_DOMAIN)
  const domains = all.filter((row) => bool(row.is_domain)).map(shared)
  const projects = byDepth(all.filter((row) => !bool(row.is_domain))).map((row) => ({ ...shared(row), domain_id: textOf(row.domain_id), parent_id: idOf(row.parent_id) }))
  return { domains, projects }
}

function usersOf(dump: Dump) {
  const [locals, hashes, options] = [new Map((dump.local_user ?? []).map((row) => [String(row.user_id), row])), group(dump.password, 'local_user_id'), group(dump.user_option, 'user_id')]
  const created = (row: Row) => msOf(row.created_at_int, row.created_at) ?? 0
  return (dump.user ?? []).flatMap((row) => {
    const id = String(row.id)
    const local = locals.get(id)
    if (local === undefined) return []
    const passwords = (hashes.get(String(local.id)) ?? []).filter((each) => textOf(each.password_hash) !== '').sort((a, b) => created(a) - created(b) || Number(a.id) - Number(b.id)).slice(-PASSWORDS_KEPT)
      .map((each) => ({ hash: textOf(each.password_hash), created_ms: created(each), expires_ms: msOf(each.expires_at_int, each.expires_at), self_service: bool(each.self_service) }))
    return [{ id, name: textOf(local.name), domain_id: textOf(row.domain_id ?? local.domain_id), enabled: bool(row.enabled), default_project_id: idOf(row.default_project_id), created_ms: msOf(null, row.created_at) ?? 0, options: optionsOf(options.get(id)), extra: record(row.extra), passwords }]
  })
}

function assignmentsOf(dump: Dump) {
  return [...(dump.assignment ?? []), ...(dump.system_assignment ?? [])].flatMap((row) => {
    const match = /^(User|Group)(Project|Domain|System)$/.exec(textOf(row.type))
    if (match === null) return []
    const target = (match[2] ?? '').toLowerCase() as 'project' | 'domain' | 'system'
    return [{ actor_type: match[1] === 'User' ? ('user' as const) : ('group' as const), actor_id: String(row.actor_id), target_type: target, target_id: target === 'system' ? 'all' : String(row.target_id), role_id: String(row.role_id), inherited: bool(row.inherited) }]
  })
}

export function planOf(dump: Dump): Plan {
  const { domains, projects } = projectsOf(dump)
  const users = usersOf(dump)
  const roleOptions = group(dump.role_option, 'role_id')
  const roles = (dump.role ?? []).map((row) => ({ id: String(row.id), name: textOf(row.name), domain_id: row.domain_id === NO_DOMAIN ? null : idOf(row.domain_id), description: row.description == null ? null : textOf(row.description), options: optionsOf(roleOptions.get(String(row.id))), extra: record(row.extra) }))
  const groups = (dump.group ?? []).map((row) => ({ id: String(row.id), name: textOf(row.name), domain_id: textOf(row.domain_id), description: textOf(row.description), extra: record(row.extra) }))
  const implied = (dump.implied_role ?? []).map((row) => ({ prior_id: String(row.prior_role_id), implied_id: String(row.implied_role_id) }))
  const members = (dump.user_group_membership ?? []).map((row) => ({ group_id: String(row.group_id), user_id: String(row.user_id) }))
  const of = <K extends ImportRequest['kind']>(kind: K, rows: unknown[]): ImportRequest[] => chunks(rows).map((some) => ({ kind, rows: some }) as ImportRequest)
  const left: string[] = []
  const without = (dump.user ?? []).length - users.length
  if (without > 0) left.push(`${without} users that have no local name (they come from LDAP or an identity provider)`)
  for (const name of Object.keys(dump)) if (!TABLES.includes(name) && !OPTIONAL.includes(name) && (dump[name] ?? []).length > 0) left.push(`table '${name}' (${(dump[name] ?? []).length} rows)`)
  return {
    batches: [...of('domain', domains), ...of('project', projects), ...of('role', roles), ...of('implied_role', implied), ...of('group', groups), ...of('user', users), ...of('member', members), ...of('assignment', assignmentsOf(dump))],
    left,
  }
}

const REFERENCES = ['domain_id', 'parent_id', 'default_project_id', 'prior_id', 'implied_id', 'group_id', 'user_id', 'actor_id', 'target_id', 'role_id']

/** A batch with its references led to what was there under the same name. */
export function led(batch: ImportRequest, mapped: Map<string, string>): ImportRequest {
  const rows = batch.rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, REFERENCES.includes(key) && typeof value === 'string' ? (mapped.get(value) ?? value) : value])))
  return { ...batch, rows } as ImportRequest
}

export interface Tally {
  made: number
  kept: number
  mapped: number
  refused: number
}

/** Sends the plan; what each row became is told one by one only where somebody should look at it. */
export async function carry(plan: Plan, send: (batch: ImportRequest) => Promise<ImportResult[]>, tell: (text: string) => void): Promise<Map<string, Tally>> {
  const mapped = new Map<string, string>()
  const tallies = new Map<string, Tally>()
  for (const batch of plan.batches) {
    const tally = tallies.get(batch.kind) ?? { made: 0, kept: 0, mapped: 0, refused: 0 }
    tallies.set(batch.kind, tally)
    const results = await send(led(batch, mapped))
    results.forEach((result, n) => {
      const row = batch.rows[n] as { id?: string; name?: string } | undefined
      tally[result.outcome]++
      if (result.as !== undefined && row?.id !== undefined) mapped.set(row.id, result.as)
      if (result.note !== undefined) tell(`${batch.kind} ${row?.name ?? row?.id ?? JSON.stringify(row)}: ${result.note}`)
    })
  }
  return tallies
}
