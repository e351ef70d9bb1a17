/** Entries of a directory -> users and groups, and filters that find them. Pure. */
import type { DirectoryEntry } from '../../../schema/agent/directory.ts'
import type { Filter } from '../kernel/listing.ts'
import { all, contains, endsWith, equals, startsWith } from './filter.ts'
import { type DirectorySettings, typed } from './settings.ts'

export interface SeenUser {
  local_id: string
  dn: string
  name: string
  enabled: boolean
  default_project_id: string | null
  extra: Record<string, unknown>
}

export interface SeenGroup {
  local_id: string
  dn: string
  name: string
  description: string
}

export const TEXT_CHARS_MAX = 255
/** Active Directory's rule that follows groups in groups. */
const IN_CHAIN = ':1.2.840.113556.1.4.1941:'

const valuesOf = ({ attributes }: DirectoryEntry, name: string | null): string[] => (name === null ? [] : (attributes[name.toLowerCase()] ?? []))
const first = (entry: DirectoryEntry, name: string | null): string | undefined => valuesOf(entry, name)[0]

/** Of several values that might be the id, the one that the entry is named by. */
function idOf(entry: DirectoryEntry, attribute: string): string | undefined {
  const values = valuesOf(entry, attribute)
  if (values.length <= 1) return values[0]
  const [, named = ''] = /^[^=]+=((?:\\.|[^,+\\])+)/.exec(entry.dn) ?? []
  return values.find((value) => value.toLowerCase() === named.replace(/\\(.)/g, '$1').toLowerCase())
}

/** Said by the directory in so many words, or not: what cannot be read is disabled. */
export function enabledOf(raw: string | undefined, users: Pick<DirectorySettings['users'], 'enabled' | 'enabled_mask' | 'enabled_invert' | 'enabled_default'>): boolean {
  if (users.enabled === null) return true
  const said = raw ?? users.enabled_default
  if (users.enabled_mask > 0) return /^-?\d{1,15}$/.test(said.trim()) && (Number(said) & users.enabled_mask) !== users.enabled_mask
  const value = typed(said)
  return value === null ? false : users.enabled_invert ? !value : value
}

/** null for an entry that lacks what a user must have. `enabledDns`: who is in the group that says so, where there is one. */
export function userOf(entry: DirectoryEntry, { users }: DirectorySettings, enabledDns: ReadonlySet<string> | null): SeenUser | null {
  const [local_id, name] = [idOf(entry, users.id), first(entry, users.name)]
  if (!local_id || !name || local_id.length > TEXT_CHARS_MAX || name.length > TEXT_CHARS_MAX) return null
  const extra: Record<string, unknown> = {}
  for (const [attribute, key] of [[users.mail, 'email'], [users.description, 'description'], ...users.more] as [string | null, string][]) {
    const value = first(entry, attribute)
    if (value !== undefined) extra[key] = value
  }
  const enabled = enabledDns === null ? enabledOf(first(entry, users.enabled), users) : enabledDns.has(entry.dn.toLowerCase())
  return { local_id, dn: entry.dn, name, enabled, default_project_id: first(entry, users.default_project) ?? null, extra }
}

export function groupOf(entry: DirectoryEntry, { groups }: DirectorySettings): SeenGroup | null {
  const [local_id, name] = [idOf(entry, groups.id), first(entry, groups.name)]
  if (!local_id || !name || local_id.length > TEXT_CHARS_MAX || name.length > TEXT_CHARS_MAX) return null
  return { local_id, dn: entry.dn, name, description: first(entry, groups.description) ?? '' }
}

export const membersOf = (entry: DirectoryEntry, { groups }: DirectorySettings): string[] => valuesOf(entry, groups.member)

/** Values of an attribute that the directory gives in parts (Active Directory: `member;range=0-1499`), and where the next part begins; null: it gave them whole. */
export function partOf({ attributes }: DirectoryEntry, attribute: string): { values: string[]; next: number | null } | null {
  const name = attribute.toLowerCase()
  for (const [key, values] of Object.entries(attributes)) {
    const [, option, last] = /^([^;]+);range=\d+-(\d{1,9}|\*)$/.exec(key) ?? []
    if (option === name && last !== undefined) return { values, next: last === '*' ? null : Number(last) + 1 }
  }
  return null
}

const given = (names: (string | null)[]) => [...new Set(names.filter((name): name is string => name !== null))]
export const userAttributes = ({ users }: DirectorySettings) => given([users.id, users.name, users.mail, users.description, users.enabled_group === null ? users.enabled : null, users.default_project, ...users.more.map(([name]) => name)])
export const groupAttributes = ({ groups }: DirectorySettings) => given([groups.id, groups.name, groups.description])

export const userFilter = ({ users }: DirectorySettings, ...parts: (string | null)[]): string => all(equals('objectClass', users.object_class), users.filter, ...parts)
export const groupFilter = ({ groups }: DirectorySettings, ...parts: (string | null)[]): string => all(equals('objectClass', groups.object_class), groups.filter, ...parts)

/** Groups that a user is in. */
export const memberFilter = ({ groups }: DirectorySettings, user: Pick<SeenUser, 'dn' | 'local_id'>): string => equals(`${groups.member}${groups.nested ? IN_CHAIN : ''}`, groups.members_are_ids ? user.local_id : user.dn)

/** A filter of the API, as far as the directory can judge it; the rest is judged on what it gives. */
export function pushed(filter: Filter, attribute: string): string | null {
  if (filter.field !== 'name' || typeof filter.value !== 'string') return null
  const say = { equals, contains, startswith: startsWith, endswith: endsWith }[filter.op]
  return say(attribute, filter.value)
}

/** Whether a row is what the filters ask for. Directories compare names without regard to case, and so does this. */
export function keeps(filters: readonly Filter[], row: { name: string; enabled?: boolean }): boolean {
  return filters.every(({ field, op, value }) => {
    if (field === 'enabled') return row.enabled === value
    if (field !== 'name' || typeof value !== 'string') return true
    const [own, asked] = [row.name.toLowerCase(), value.toLowerCase()]
    return op === 'equals' ? own === asked : op === 'contains' ? own.includes(asked) : op === 'startswith' ? own.startsWith(asked) : own.endsWith(asked)
  })
}
