/** The driver for domains whose users a directory on site has. Reads only; what it saw is remembered in shadow rows (store.ts), so that roles and tokens are this cloud's own. */
import type { DirectoryEntry, DirectoryFound, DirectorySearch } from '../../../schema/agent/directory.ts'
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { systemRandom } from '../../../schema/values/random.ts'
import type { Context } from '../../http/context.ts'
import type { GroupRow } from '../groups/store.ts'
import { realmOf } from '../kernel/http.ts'
import type { ListQuery } from '../kernel/listing.ts'
import { notFound } from '../kernel/realm.ts'
import type { Membership, UserView } from '../users/store.ts'
import { askDirectory } from './client.ts'
import type { Found, IdentityDriver } from './driver.ts'
import { type SeenGroup, type SeenUser, groupAttributes, groupFilter, groupOf, keeps, memberFilter, membersOf, partOf, pushed, userAttributes, userFilter, userOf } from './entries.ts'
import { equals, present } from './filter.ts'
import { type DirectorySettings, settingsOf } from './settings.ts'
import type { Directories, DirectoryDomain, DirectoryRef } from './store.ts'

/** A group with more members than this is read through the list of users instead of one by one. */
const MEMBERS_ONE_BY_ONE_MAX = 20
/** Parts that one group's members may come in. Active Directory gives 1,500 at once. */
const MEMBER_PARTS_MAX = 200

const denied = () => new Fault('unauthorized', 'The request you have made requires authentication.')
const folded = (dn: string) => dn.toLowerCase().replace(/,\s+/g, ',')

/** By id, as lists are, with marker and limit. */
function paged<T extends { id: string }>(rows: T[], { marker, limit }: ListQuery): T[] {
  const sorted = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1)).filter((row) => marker === null || row.id > marker)
  return limit === null ? sorted : sorted.slice(0, limit)
}

export class LdapDriver implements IdentityDriver {
  readonly name = 'ldap' as const
  #ctx: Context
  #directories: Remote<Directories>
  #domainId: string
  #settings: DirectorySettings

  constructor(ctx: Context, directories: Remote<Directories>, domain: DirectoryDomain) {
    if (domain.driver !== 'ldap') throw new Fault('unavailable', `Domain ${domain.domain_id} says that '${domain.driver}' knows its users, and no such driver is there.`)
    this.#ctx = ctx
    this.#directories = directories
    this.#domainId = domain.domain_id
    this.#settings = settingsOf(domain.options, domain.list_limit)
  }

  async users(query: ListQuery): Promise<Found<UserView>> {
    const { users } = this.#settings
    const found = await this.#search(users.base, userFilter(this.#settings, ...query.filters.map((filter) => pushed(filter, users.name))), userAttributes(this.#settings))
    const seen = (await this.#usersOf(found.entries)).filter((user) => keeps(query.filters, user))
    return { rows: paged(await this.#directories.sawUsers(this.#domainId, seen, this.#ctx.requestId), query), truncated: found.truncated }
  }

  async groups(query: ListQuery): Promise<Found<GroupRow>> {
    const { groups } = this.#settings
    const found = await this.#search(groups.base, groupFilter(this.#settings, ...query.filters.map((filter) => pushed(filter, groups.name))), groupAttributes(this.#settings))
    const seen = this.#groupsOf(found.entries).filter((group) => keeps(query.filters, group))
    return { rows: paged(await this.#directories.sawGroups(this.#domainId, seen, this.#ctx.requestId), query), truncated: found.truncated }
  }

  async user(row: UserView): Promise<UserView> {
    const [view] = await this.#directories.sawUsers(this.#domainId, [await this.#known(row.id)], this.#ctx.requestId)
    if (view === undefined) throw notFound('user', row.id)
    return view
  }

  async group(row: GroupRow): Promise<GroupRow> {
    const entry = await this.#groupEntry(row.id)
    const [group] = entry === null ? [] : await this.#directories.sawGroups(this.#domainId, this.#groupsOf([entry]), this.#ctx.requestId)
    if (group === undefined) throw notFound('group', row.id)
    return group
  }

  /** Those that the directory says it is in, and those that this cloud put it into. */
  async groupsOf(user: UserView, query: ListQuery): Promise<Membership[]> {
    const seen = await this.#groupsWith(await this.#known(user.id))
    const rows = await this.#directories.sawGroups(this.#domainId, seen.filter((group) => keeps(query.filters, group)), this.#ctx.requestId)
    const own = (await realmOf(this.#ctx).users.groupsOf(user.id, query)).filter((row) => row.origin !== 'ldap')
    return [...rows.map((row) => ({ ...row, membership_expires_ms: null })), ...own]
  }

  async usersOf(group: GroupRow, query: ListQuery): Promise<UserView[]> {
    const entry = await this.#groupEntry(group.id)
    if (entry === null) throw notFound('group', group.id)
    const members = await this.#members(entry)
    const seen = (await this.#users(members)).filter((user) => keeps(query.filters, user))
    return paged(await this.#directories.sawUsers(this.#domainId, seen, this.#ctx.requestId), query)
  }

  /** Whether somebody has this password. The directory is asked about a password even for a name that it does not have. */
  async login(ref: DirectoryRef, password: string): Promise<string> {
    const user = await this.#find(ref.by)
    const nobody = `cn=${Buffer.from(systemRandom.bytes(8)).toString('hex')},${this.#settings.users.base}`
    const { bound } = await askDirectory(this.#ctx, 'directory.bind', { server: this.#settings.server, dn: user?.dn ?? nobody, password })
    if (!bound || user === null) throw denied()
    return await this.#enter(user)
  }

  /** Somebody who proved otherwise who it is: is it still in the directory, and enabled? */
  async refresh(ref: DirectoryRef, publicId: string): Promise<void> {
    const user = await this.#find(ref.by)
    if (user === null) {
      await this.#directories.gone(publicId, this.#ctx.requestId)
      throw denied()
    }
    await this.#enter(user)
  }

  async #enter(user: SeenUser): Promise<string> {
    if (!user.enabled) {
      await this.#directories.sawUsers(this.#domainId, [user], this.#ctx.requestId)
      throw denied()
    }
    return await this.#directories.entered(this.#domainId, user, await this.#groupsWith(user), this.#ctx.requestId)
  }

  async #search(base: string, filter: string, attributes: string[], more: Partial<DirectorySearch> = {}): Promise<DirectoryFound> {
    const { server, scope, page_size, list_max } = this.#settings
    return await askDirectory(this.#ctx, 'directory.search', { server, base, scope, filter, attributes, limit: list_max, page_size, ...more })
  }

  /** One user by its name or id there. Two of one name are nobody. */
  async #find(by: DirectoryRef['by']): Promise<SeenUser | null> {
    const { users } = this.#settings
    const filter = 'name' in by ? equals(users.name, by.name) : equals(users.id, by.local_id)
    const { entries } = await this.#search(users.base, userFilter(this.#settings, filter), userAttributes(this.#settings), { limit: 2 })
    const [user, other] = await this.#usersOf(entries)
    return user === undefined || other !== undefined ? null : user
  }

  async #known(publicId: string): Promise<SeenUser> {
    const entry = await this.#directories.entry(publicId)
    const user = entry === null ? null : await this.#find({ local_id: entry.local_id })
    if (user === null) {
      await this.#directories.gone(publicId, this.#ctx.requestId)
      throw notFound('user', publicId)
    }
    return user
  }

  async #groupEntry(publicId: string): Promise<DirectoryEntry | null> {
    const { groups } = this.#settings
    const known = await this.#directories.entry(publicId)
    if (known === null) return null
    const { entries } = await this.#search(groups.base, groupFilter(this.#settings, equals(groups.id, known.local_id)), [...groupAttributes(this.#settings), groups.member], { limit: 2 })
    return entries.length === 1 ? (entries[0] ?? null) : null
  }

  async #groupsWith(user: SeenUser): Promise<SeenGroup[]> {
    const { entries } = await this.#search(this.#settings.groups.base, groupFilter(this.#settings, memberFilter(this.#settings, user)), groupAttributes(this.#settings))
    return this.#groupsOf(entries)
  }

  /** All of a group's members: what the directory gives in parts is asked for part by part. */
  async #members(entry: DirectoryEntry): Promise<string[]> {
    const { member } = this.#settings.groups
    const out = [...membersOf(entry, this.#settings)]
    let part = partOf(entry, member)
    for (let asked = 0; part !== null; asked++) {
      out.push(...part.values)
      if (part.next === null || part.values.length === 0) break
      if (asked >= MEMBER_PARTS_MAX) throw new Fault('bad_gateway', `The directory gives the members of ${entry.dn} in more than ${MEMBER_PARTS_MAX} parts.`)
      const { entries } = await this.#search(entry.dn, present('objectClass'), [`${member};range=${part.next}-*`], { scope: 'base', limit: 1 })
      part = entries[0] === undefined ? null : partOf(entries[0], member)
    }
    return out
  }

  /** The users among a group's members. */
  async #users(members: string[]): Promise<SeenUser[]> {
    const { users, groups } = this.#settings
    const attributes = userAttributes(this.#settings)
    if (members.length > MEMBERS_ONE_BY_ONE_MAX) {
      const wanted = new Set(members.map(folded))
      const { entries } = await this.#search(users.base, userFilter(this.#settings), attributes)
      return (await this.#usersOf(entries)).filter((user) => wanted.has(folded(groups.members_are_ids ? user.local_id : user.dn)))
    }
    const under = folded(users.base)
    const found = await Promise.all(members.map(async (member) => {
      if (groups.members_are_ids) return (await this.#search(users.base, userFilter(this.#settings, equals(users.id, member)), attributes, { limit: 1 })).entries
      // Members may be groups, or people of elsewhere.
      if (!folded(member).endsWith(`,${under}`)) return []
      return (await this.#search(member, userFilter(this.#settings), attributes, { scope: 'base', limit: 1 })).entries
    }))
    return await this.#usersOf(found.flat())
  }

  async #usersOf(entries: DirectoryEntry[]): Promise<SeenUser[]> {
    const group = this.#settings.users.enabled_group
    let enabled: Set<string> | null = null
    if (group !== null && entries.length > 0) {
      const found = await this.#search(group, present('objectClass'), [this.#settings.groups.member], { scope: 'base', limit: 1 })
      enabled = new Set((await Promise.all(found.entries.map((entry) => this.#members(entry)))).flat().map((dn) => dn.toLowerCase()))
    }
    return entries.map((entry) => userOf(entry, this.#settings, enabled)).filter((user): user is SeenUser => user !== null)
  }

  #groupsOf(entries: DirectoryEntry[]): SeenGroup[] {
    return entries.map((entry) => groupOf(entry, this.#settings)).filter((group): group is SeenGroup => group !== null)
  }
}
