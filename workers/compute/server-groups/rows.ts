/** Which hosts the members of a server's group are on: what the scheduler's affinity filters ask. */
import { and, eq } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { type ServerGroupRow, type ServerRow, serverGroups, servers } from '../../../schema/project/compute.ts'
import type { PlaceRequest } from '../scheduler/types.ts'

export const membersOf = (db: Db, groupId: string): ServerRow[] => db.select().from(servers).where(and(eq(servers.group_id, groupId), eq(servers.deleted, false))).orderBy(servers.seq).all()
export const findGroup = (db: Db, id: string): ServerGroupRow | undefined => db.select().from(serverGroups).where(eq(serverGroups.id, id)).get()

export function groupPlacement(db: Db, row: ServerRow): PlaceRequest['group'] {
  const group = row.group_id === null ? undefined : findGroup(db, row.group_id)
  if (group === undefined) return null
  const host_ids = membersOf(db, group.id).filter((member) => member.id !== row.id && member.host_id !== null).map((member) => member.host_id ?? '')
  return { id: group.id, policy: group.policy, host_ids, max_server_per_host: group.rules.max_server_per_host ?? 1 }
}
