/** The group every project has: made when it is first looked for, with the rules that upstream gives it. */
import { eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type SecurityGroupRow, type SecurityGroupRuleRow, securityGroupRules, securityGroups } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { standardRow } from '../api/standard.ts'

export const DEFAULT_GROUP = 'default'

export const findDefault = (tx: Pick<Tx, 'db'>): SecurityGroupRow | undefined => tx.db.select().from(securityGroups).where(eq(securityGroups.is_default, true)).all()[0]

export function ensureDefault(deps: Deps, tx: Tx): SecurityGroupRow {
  const found = findDefault(tx)
  if (found !== undefined) return found
  const row: SecurityGroupRow = { ...standardRow(tx, deps.newId(), { name: DEFAULT_GROUP, description: 'Default security group' }), stateful: true, is_default: true }
  tx.db.insert(securityGroups).values(row).run()
  tx.change('security_group', row.id, 'create', null, row)
  insertFirstRules(deps, tx, row.id, row.id)
  return row
}

/** Everything out; in only from `remoteGroup`, where there is one (the default group lets its own members in). */
export function insertFirstRules(deps: Deps, tx: Tx, groupId: string, remoteGroup: string | null): void {
  for (const ethertype of ['IPv4', 'IPv6'] as const) {
    insertRule(tx, ruleRow(deps, tx, { security_group_id: groupId, direction: 'egress', ethertype }))
    if (remoteGroup !== null) insertRule(tx, ruleRow(deps, tx, { security_group_id: groupId, direction: 'ingress', ethertype, remote_group_id: remoteGroup }))
  }
}

export const ruleRow = (deps: Deps, tx: Tx, part: Partial<SecurityGroupRuleRow> & Pick<SecurityGroupRuleRow, 'security_group_id' | 'direction' | 'ethertype'>): SecurityGroupRuleRow => ({
  id: deps.newId(), protocol: null, port_range_min: null, port_range_max: null, remote_ip_prefix: null, remote_group_id: null, description: '', revision_number: 0, created_ms: tx.now_ms, updated_ms: tx.now_ms, ...part,
})

export function insertRule(tx: Tx, row: SecurityGroupRuleRow): void {
  tx.db.insert(securityGroupRules).values(row).run()
  tx.change('security_group_rule', row.id, 'create', null, row)
}

/** Outside a transaction: makes the default group if it is not there yet. */
export function defaultGroup(deps: Deps, caller: Caller): SecurityGroupRow {
  return findDefault({ db: deps.db }) ?? deps.commit(caller, (tx) => ensureDefault(deps, tx))
}
