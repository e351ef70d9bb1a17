/** Who knows the users and groups of a domain: this cloud itself (`sql`), or a directory on site (`ldap`), as the domain's configuration says. Routes ask a driver; what it answers has one shape. */
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import type { Context } from '../../http/context.ts'
import type { GroupRow } from '../groups/store.ts'
import { partOf, realmOf } from '../kernel/http.ts'
import type { ListQuery } from '../kernel/listing.ts'
import type { Membership, UserView } from '../users/store.ts'
import { LdapDriver } from './ldap.ts'
import type { Directories } from './store.ts'

export interface Found<T> {
  rows: T[]
  /** The driver has more, and was not asked for it. */
  truncated: boolean
}

export interface IdentityDriver {
  readonly name: 'sql' | 'ldap'
  users(query: ListQuery): Promise<Found<UserView>>
  groups(query: ListQuery): Promise<Found<GroupRow>>
  /** As it is now; not_found where it is no more. */
  user(row: UserView): Promise<UserView>
  group(row: GroupRow): Promise<GroupRow>
  groupsOf(user: UserView, query: ListQuery): Promise<Membership[]>
  usersOf(group: GroupRow, query: ListQuery): Promise<UserView[]>
}

const whole = <T>(rows: T[]): Found<T> => ({ rows, truncated: false })

export const sqlDriver = (ctx: Context): IdentityDriver => ({
  name: 'sql',
  users: async (query) => whole(await realmOf(ctx).users.list(query, null)),
  groups: async (query) => whole(await realmOf(ctx).groups.list(query)),
  user: async (row) => row,
  group: async (row) => row,
  groupsOf: async (user, query) => await realmOf(ctx).users.groupsOf(user.id, query),
  usersOf: async (group, query) => await realmOf(ctx).users.ofGroup(group.id, query),
})

export const directoriesOf = (ctx: Context): Remote<Directories> => partOf<Directories>(ctx, 'directories')

/** Who is asked for the lists of a domain. */
export async function driverOfDomain(ctx: Context, domainId: string | null): Promise<IdentityDriver> {
  if (domainId === null) return sqlDriver(ctx)
  const directories = directoriesOf(ctx)
  const domain = await directories.domain(domainId)
  return domain === null ? sqlDriver(ctx) : new LdapDriver(ctx, directories, domain)
}

/** Who is asked about a user or a group that is known here. */
export async function driverOfRow(ctx: Context, row: Pick<UserView, 'id' | 'origin'>): Promise<IdentityDriver> {
  if (row.origin !== 'ldap') return sqlDriver(ctx)
  const directories = directoriesOf(ctx)
  const ref = await directories.ref(row.id)
  return ref === null ? sqlDriver(ctx) : new LdapDriver(ctx, directories, ref)
}
